//! The weights of one network after the other, as far as they act.

use super::super::Stream;
use super::super::explicit::ExplicitSampler;
use super::super::general::Weights;
use super::super::normal::BulkGenerator;
use super::Means;
use super::matrix::{Normals, UnseenMatrix, Way};
use super::patches::Patches;
use super::span::Span;
use crate::network::layer::{Product, Role, Scratch, mask, rectify};
use crate::network::matrix::transpose;
use crate::network::{Initialisation, Node, Operator, Parameters, Place, Real};
use crate::stop::Stop;

/// Numbers that are drawn between two looks for a request to stop.
const UNSTOPPED: usize = 1 << 20;

/// The weights of a network, layer by layer.
pub(super) struct Conditioned<T> {
    layers: Vec<Held<T>>,
    /// Nothing is drawn before the first network begins.
    numbers: Option<Numbers>,
}

/// What is held of a layer's weights.
enum Held<T> {
    /// All of them, and of each array its standard deviation, or the value that it keeps.
    Drawn(Vec<T>, Vec<(usize, Law)>),
    /// What they do.
    Acting(Box<Action<T>>),
}

/// The law of an array of parameters.
#[derive(Clone, Copy)]
enum Law {
    Normal { std_dev: f64 },
    Constant(f64),
}

/// A matrix of weights, which may have biases as one more column, in the memory for its products.
struct Action<T> {
    matrix: UnseenMatrix<T>,
    /// Values of a pixel where the matrix acts on it.
    channels: usize,
    patches: Patches,
    /// What stands for the one that a bias is multiplied by: the ratio of its standard deviation to the weights'; `None` without biases.
    bias: Option<T>,
    /// Where the matrix acts on coordinates in the pixels' span only.
    span: Option<Span<T>>,
    /// Pixels with all their channels, and as the matrix acts on them.
    pixels: [Vec<T>; 2],
    inner: Vec<T>,
    outer: Vec<T>,
}

/// Normals in bulk, in single precision as for weights that are drawn.
struct Numbers {
    generator: BulkGenerator,
    single: Vec<f32>,
}

impl Normals<f32> for Numbers {
    fn fill(&mut self, std_dev: f32, values: &mut [f32]) {
        self.generator.fill_normal(std_dev, values);
    }
}

impl Normals<f64> for Numbers {
    fn fill(&mut self, std_dev: f64, values: &mut [f64]) {
        for values in values.chunks_mut(UNSTOPPED) {
            self.single.resize(values.len(), 0.0);
            self.generator.fill_normal(1.0, &mut self.single);
            values.iter_mut().zip(&self.single).for_each(|(value, &number)| *value = std_dev * f64::from(number));
        }
    }
}

impl<T: Real> Conditioned<T> {
    pub fn new(networks: &ExplicitSampler, law: Initialisation, means: &[Means]) -> Self {
        let running = networks.running();
        let nodes = networks.architecture.nodes();
        let held = |(place, node): (usize, &Node)| {
            // Where pools run before convolutions, a layer's law is that of the place in which it was written.
            let is_same = |written: &&Node| written.offset == node.offset && written.tensors == node.tensors;
            let index = nodes.iter().position(|written| is_same(&written)).unwrap_or(place);
            let acting = |product, in_span| {
                let bias =
                    law.law_of(index, Role::Bias).filter(|_| node.has_bias()).map_or(0.0, |(_, std_dev)| std_dev);
                let std_devs = [law.variances(index).weight.sqrt(), bias];
                Held::Acting(Box::new(Action::new(networks, node, product, in_span, std_devs)))
            };
            match means[place] {
                Means::Drawn => {
                    let of_tensor = |tensor: &crate::network::layer::Tensor| {
                        let law = match law.law_of(index, tensor.role) {
                            Some((_, std_dev)) => Law::Normal { std_dev },
                            None => Law::Constant(tensor.role.initial_value()),
                        };
                        (tensor.len(), law)
                    };
                    let laws = node.tensors.iter().map(of_tensor).collect();
                    Held::Drawn(vec![T::zero(); node.parameter_count()], laws)
                }
                Means::Acting(product) => acting(product, false),
                Means::InSpan(product) => acting(product, true),
            }
        };
        Self { layers: running.nodes().iter().enumerate().map(held).collect(), numbers: None }
    }
}

impl<T: Real> Action<T> {
    /// The weights of a layer by their standard deviation, and that of its biases.
    fn new(networks: &ExplicitSampler, node: &Node, product: Product, in_span: bool, [weight, bias]: [f64; 2]) -> Self {
        let patches = Patches::new(node, product, networks.batch);
        let std_dev = T::from_f64(weight);
        let span = in_span.then(|| {
            let above = product.outputs.min(patches.count * networks.gradients());
            Span::new(&patches, product.channels, std_dev, above)
        });
        let channels = span.as_ref().map_or(product.channels, Span::coordinates);
        let bias = (bias > 0.0).then(|| T::from_f64(bias / weight));
        let columns = channels * product.taps + usize::from(bias.is_some());
        Self {
            matrix: UnseenMatrix::new(product.outputs, columns, std_dev),
            channels,
            bias,
            span,
            pixels: [product.channels, channels].map(|channels| vec![T::zero(); patches.pixels * channels]),
            inner: vec![T::zero(); patches.count * columns],
            outer: vec![T::zero(); patches.count * product.outputs],
            patches,
        }
    }

    /// Another matrix of the same law in its place.
    fn forget(&mut self) {
        self.matrix.forget();
        self.span.iter_mut().for_each(Span::forget);
    }

    /// Values of a patch, with that of the bias.
    fn pitch(&self) -> usize {
        self.inner.len() / self.patches.count
    }

    fn apply(&mut self, input: &[T], output: &mut [T], numbers: &mut impl Normals<T>) {
        let pitch = self.pitch();
        let Patches { batch, count, pixels, .. } = self.patches;
        let [whole, reduced] = &mut self.pixels;
        transpose_all(input, batch, pixels / batch, whole);
        let shown = match &mut self.span {
            Some(span) => {
                span.reduce(self.matrix.tolerance, whole, reduced);
                reduced
            }
            None => whole,
        };
        self.patches.lay(shown, self.channels, pitch, &mut self.inner);
        if let Some(bias) = self.bias {
            self.inner.chunks_exact_mut(pitch).for_each(|patch| patch[pitch - 1] = bias);
        }
        self.matrix.multiply(Way::Forward, &mut self.inner, &mut self.outer, numbers);
        transpose_all(&self.outer, batch, self.outer.len() / count, output);
    }

    fn apply_transposed(&mut self, upstream: &[T], downstream: &mut [T], numbers: &mut impl Normals<T>) {
        let pitch = self.pitch();
        let Patches { batch, count, pixels, .. } = self.patches;
        transpose_all(upstream, batch, count / batch, &mut self.outer);
        let above = self.matrix.multiply(Way::Transposed, &mut self.outer, &mut self.inner, numbers);
        let [whole, reduced] = &mut self.pixels;
        match &mut self.span {
            Some(span) => {
                self.patches.sum(&self.inner, self.channels, pitch, reduced);
                span.expand(reduced, &above, whole, numbers);
            }
            None => self.patches.sum(&self.inner, self.channels, pitch, whole),
        }
        transpose_all(whole, batch, whole.len() / pixels, downstream);
    }
}

/// Exchanges rows and columns of every sample's values, which has so many columns.
fn transpose_all<T: Real>(from: &[T], batch: usize, columns: usize, to: &mut [T]) {
    let values = from.len() / batch;
    for (from, to) in from.chunks_exact(values).zip(to.chunks_exact_mut(values)) {
        transpose(from, columns, to);
    }
}

impl<T: Real> Weights<T> for Conditioned<T>
where
    Numbers: Normals<T>,
{
    fn draw(&mut self, stream: &mut Stream, stop: &Stop) {
        let single = self.numbers.take().map(|numbers| numbers.single).unwrap_or_default();
        let mut numbers = Numbers { generator: BulkGenerator::new(stream), single };
        for layer in &mut self.layers {
            match layer {
                Held::Acting(action) => action.forget(),
                Held::Drawn(parameters, laws) => {
                    let mut rest = &mut parameters[..];
                    for &mut (length, law) in laws {
                        let (tensor, behind) = rest.split_at_mut(length);
                        rest = behind;
                        match law {
                            Law::Constant(value) => tensor.fill(T::from_f64(value)),
                            Law::Normal { std_dev } => {
                                for values in tensor.chunks_mut(UNSTOPPED) {
                                    if stop.is_asked() {
                                        return;
                                    }
                                    numbers.fill(T::from_f64(std_dev), values);
                                }
                            }
                        }
                    }
                }
            }
        }
        self.numbers = Some(numbers);
    }

    fn operator(&mut self) -> impl Operator<T> + '_ {
        self
    }

    fn parameters(&self) -> Option<&Parameters<T>> {
        None
    }
}

impl<T: Real> Operator<T> for Conditioned<T>
where
    Numbers: Normals<T>,
{
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        let Some(numbers) = &mut self.numbers else { return };
        match &mut self.layers[place.index] {
            Held::Drawn(parameters, _) => return place.forward(parameters, input, output, scratch),
            Held::Acting(action) => action.apply(input, output, numbers),
        }
        if place.with_relu {
            rectify(output);
        }
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let Some(numbers) = &mut self.numbers else { return };
        match &mut self.layers[place.index] {
            Held::Drawn(parameters, _) => return place.backward(parameters, input, upstream, downstream, scratch),
            Held::Acting(action) => action.apply_transposed(upstream, downstream, numbers),
        }
        if place.with_relu {
            mask(downstream, input);
        }
    }
}

/// Defects for tests.
#[cfg(test)]
impl<T: Real> Conditioned<T> {
    /// Makes what was seen of a layer's weights unknown.
    pub fn forget(&mut self, index: usize) {
        match &mut self.layers[index] {
            Held::Drawn(..) => {}
            Held::Acting(action) => action.forget(),
        }
    }

    /// Multiplies all biases.
    pub fn scale_biases(&mut self, factor: f64) {
        for layer in &mut self.layers {
            match layer {
                Held::Drawn(..) => {}
                Held::Acting(action) => action.bias.iter_mut().for_each(|bias| *bias *= T::from_f64(factor)),
            }
        }
    }

    /// Gives up directions of which no more than this is left.
    pub fn give_up_at(&mut self, tolerance: f64) {
        for layer in &mut self.layers {
            match layer {
                Held::Drawn(..) => {}
                Held::Acting(action) => action.matrix.tolerance = tolerance,
            }
        }
    }
}
