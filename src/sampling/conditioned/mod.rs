//! Networks of Gaussian weights that are never drawn: each matrix of weights acts as an unseen matrix, at a cost linear in the width
//! of a dense layer, and exactly in law, jointly over all coordinates and gradients of a draw.
//!
//! Everything between the weights runs as it does for networks that are drawn whole. Layer by layer, weights are drawn all the same where
//! that is cheaper: where a kernel has fewer values than the patches on which it acts. Convolutions whose channels are more than the pixels
//! act on coordinates in the pixels' span (`span`).

mod basis;
mod factor;
mod matrix;
mod patches;
mod rows;
mod span;
#[cfg(test)]
mod tests;
mod weights;

use super::explicit::ExplicitSampler;
use super::general::{DRAWN, GeneralWorker};
use super::monte_carlo::{Sampler, Worker};
use crate::network::layer::{LayerRule, Product};
use crate::network::{Architecture, Node, WeightDistribution};
use crate::observable::{HypothesisObservable, Observable};
use crate::scaled::Scaled;
use patches::Patches;
use span::Kind;
use weights::Conditioned;

/// Draws networks by what their weights do, where that is exact: independent Gaussian weights of which nothing but gradients is asked.
#[derive(Debug, Clone)]
pub struct ConditionedSampler {
    /// The same networks, with all their weights.
    networks: ExplicitSampler,
    /// Whether actions are drawn of every layer of which they can be, whatever they cost.
    always: bool,
}

/// What the factors of one Gram matrix take, in double precision and mostly in small blocks: so many multiplications of single precision by
/// the cube of its size.
const FACTORS: f64 = 6.0;

/// Pixels of an image up to which spans are looked for: beyond them, factors cost more than any weights.
const MOST_PIXELS: usize = 1 << 13;

/// The share of what drawing all weights costs, below which the actions are taken in their place.
const WORTH_A_CHANGE: f64 = 0.8;

/// How the weights of a layer come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    /// They are drawn.
    Drawn,
    /// Their action is drawn, on as many vectors as patches and samples.
    Acting(Product),
    /// The same, on pixels in coordinates of their span.
    InSpan(Product),
}

impl ConditionedSampler {
    /// A sampler of the same networks.
    ///
    /// # Errors
    /// Says why their weights have to be drawn.
    pub fn new(networks: ExplicitSampler) -> Result<Self, String> {
        if networks.initialisation.distribution() != Some(WeightDistribution::Normal) {
            return Err("the weights are not Gaussian".into());
        }
        if !networks.initialisation.is_independent() {
            return Err("the weights are not independent, or biases have a mean".into());
        }
        let is_of_gradient = |observable: &Observable| match observable {
            Observable::Gradient(_) | Observable::Defined | Observable::Hypothesis(HypothesisObservable::Gap) => true,
            Observable::Hypothesis(_) | Observable::Attack(_) => false,
        };
        if !networks.observables.iter().all(is_of_gradient) {
            return Err(
                "attacks, and observables of masks or weights, are measured of networks with all their weights".into(),
            );
        }
        Ok(Self { networks, always: false })
    }

    /// The same draws actions of every layer of which they can be drawn, also where weights are cheaper.
    #[must_use]
    pub fn always(self) -> Self {
        Self { always: true, ..self }
    }

    /// The same with another Σᵢ E(∂f₀/∂xᵢ)² by path theory.
    #[must_use]
    pub fn with_path_total(mut self, path_total: Option<Scaled>) -> Self {
        self.networks.path_total = path_total;
        self
    }

    /// Whether a draw costs clearly less than one of networks with all their weights.
    pub fn pays(&self) -> bool {
        let running = self.networks.running();
        let sum = |cost: &dyn Fn(&Node) -> f64| running.nodes().iter().map(cost).sum::<f64>();
        sum(&|node| self.cost_of(node)) < WORTH_A_CHANGE * sum(&|node| self.cost_of_weights(node))
    }

    /// Multiplications that a layer's weights take, there and back, in the cheapest way.
    fn cost_of(&self, node: &Node) -> f64 {
        self.cheapest(node).1
    }

    /// The cheapest way to the weights of a layer.
    fn means(&self, node: &Node) -> Means {
        self.cheapest(node).0
    }

    fn cheapest(&self, node: &Node) -> (Means, f64) {
        let drawn = (Means::Drawn, self.cost_of_weights(node));
        let Some(product) = node.layer.product(node.site()) else { return drawn };
        let acting = (Means::Acting(product), self.cost_of_action(product, product.inputs()));
        let in_span =
            self.kinds(node, product).map(|kinds| (Means::InSpan(product), self.cost_in_span(product, &kinds)));
        let ways = in_span.into_iter().chain([acting]).chain((!self.always).then_some(drawn));
        ways.reduce(|best, next| if next.1 <= best.1 { next } else { best }).unwrap_or(drawn)
    }

    /// The kinds of pixels of a layer, where these have clearly more channels than there are of one kind: fewer channels make their
    /// Gram matrices singular.
    fn kinds(&self, node: &Node, product: Product) -> Option<Vec<Kind>> {
        let has_room = |pixels: usize| pixels.saturating_mul(2) <= product.channels;
        // Each tap shows most of the patches a pixel of their own.
        let can_have = product.taps > 1 && has_room(product.patches.saturating_mul(self.networks.batch) / 2);
        if !can_have || node.input.len() / product.channels > MOST_PIXELS {
            return None;
        }
        let kinds = span::kinds(&Patches::new(node, product, self.networks.batch));
        kinds.iter().all(|kind| has_room(kind.pixels.len())).then_some(kinds)
    }

    /// Multiplications that it takes to draw a layer's weights and apply them, there and back.
    fn cost_of_weights(&self, node: &Node) -> f64 {
        let weights = node.parameter_count() as f64;
        let inputs = node.fan().map_or(0.0, |fan| fan.inputs as f64);
        let passes = 1.0 + self.networks.gradients() as f64;
        DRAWN * weights + passes * inputs * node.output.len() as f64 * self.networks.batch as f64
    }

    /// Multiplications that it takes to draw the action of a matrix with so many columns on patches, there and back.
    fn cost_of_action(&self, product: Product, inner: usize) -> f64 {
        let columns = product.patches.saturating_mul(self.networks.batch);
        let [rows, inner, columns] = [product.outputs, inner, columns].map(|size| size as f64);
        let gradients = self.networks.gradients() as f64;
        let drawn = DRAWN * columns * (rows + gradients * inner);
        let forward = columns * columns * (inner + rows);
        let backward = gradients * columns * columns * (3.0 * inner + 2.0 * rows);
        let factors = if columns == 1.0 { 0.0 } else { FACTORS * (1.0 + gradients) * columns.powi(3) };
        drawn + forward + backward + factors
    }

    /// The same where pixels are in coordinates of their span.
    fn cost_in_span(&self, product: Product, kinds: &[Kind]) -> f64 {
        let (gradients, channels) = (self.networks.gradients() as f64, product.channels as f64);
        let above = self.above(product) as f64;
        let of_kind = |kind: &Kind| {
            let [pixels, taps] = [&kind.pixels, &kind.taps].map(|places| places.len() as f64);
            let forward = pixels * pixels * channels;
            let backward = gradients * pixels * (DRAWN * channels + pixels * (taps * above + 3.0 * channels));
            forward + backward + FACTORS * (1.0 + gradients) * pixels.powi(3)
        };
        let inner = span::most_pixels(kinds).saturating_mul(product.taps);
        kinds.iter().map(of_kind).sum::<f64>() + self.cost_of_action(product, inner)
    }

    /// Directions of the vectors above a layer, at most.
    fn above(&self, product: Product) -> usize {
        product.outputs.min(product.patches.saturating_mul(self.networks.batch * self.networks.gradients()))
    }

    /// Bytes that a layer's weights and their products take, where its values have so many.
    fn bytes_of(&self, node: &Node, value: usize) -> u64 {
        let [values, doubles] = match self.means(node) {
            Means::Drawn => [node.parameter_count(), 0],
            Means::Acting(product) => {
                let columns = product.patches.saturating_mul(self.networks.batch);
                self.values_of([product.outputs, product.inputs()], columns)
            }
            Means::InSpan(product) => {
                let kinds = self.kinds(node, product).unwrap_or_default();
                let inner = span::most_pixels(&kinds).saturating_mul(product.taps);
                let columns = product.patches.saturating_mul(self.networks.batch);
                let of_kind = |kind: &Kind| {
                    self.values_of(
                        [product.channels, kind.taps.len().saturating_mul(self.above(product))],
                        kind.pixels.len(),
                    )
                };
                let kinds = kinds.iter().map(of_kind);
                kinds.fold(self.values_of([product.outputs, inner], columns), |[values, doubles], [more, also]| {
                    [values.saturating_add(more), doubles.saturating_add(also)]
                })
            }
        };
        let bytes = |count: usize, size: usize| (count as u64).saturating_mul(size as u64);
        bytes(values, value).saturating_add(bytes(doubles, size_of::<f64>()))
    }

    /// Values of the network's precision that are held of a matrix with such sides, bases and their images on both and the vectors of one
    /// product; and those in double precision while one is taken, Gram matrices and their factors, and vectors that depend on each other.
    fn values_of(&self, sides: [usize; 2], columns: usize) -> [usize; 2] {
        let kept = columns.saturating_mul(1 + self.networks.gradients());
        let vectors = sides[0].saturating_add(sides[1]).saturating_mul(kept.saturating_add(2 * columns));
        let square = columns.saturating_mul(columns);
        let dependent = if columns == 1 { 0 } else { sides[0].max(sides[1]).saturating_mul(3 * columns) };
        [vectors.saturating_add(square.saturating_mul(4)), dependent.saturating_add(square.saturating_mul(8))]
    }
}

impl Sampler for ConditionedSampler {
    fn observables(&self) -> usize {
        self.networks.observables()
    }

    fn bytes_per_worker(&self) -> u64 {
        let running: Architecture = self.networks.running();
        let size = if self.networks.needs_double() { size_of::<f64>() } else { size_of::<f32>() };
        let values = running.activation_count().saturating_mul(self.networks.batch).saturating_mul(size) as u64;
        running.nodes().iter().fold(values, |sum, node| sum.saturating_add(self.bytes_of(node, size)))
    }

    fn cost(&self) -> f64 {
        let running = self.networks.running();
        let passes = 1.0 + self.networks.gradients() as f64;
        let written = running.activation_count() as f64 * self.networks.batch as f64 * passes;
        running.nodes().iter().map(|node| self.cost_of(node)).sum::<f64>() + written
    }

    fn worker(&self) -> Box<dyn Worker + '_> {
        let means: Vec<Means> = self.networks.running().nodes().iter().map(|node| self.means(node)).collect();
        if self.networks.needs_double() {
            Box::new(GeneralWorker::<f64, _>::new(&self.networks, |law| Conditioned::new(&self.networks, law, &means)))
        } else {
            Box::new(GeneralWorker::<f32, _>::new(&self.networks, |law| Conditioned::new(&self.networks, law, &means)))
        }
    }
}
