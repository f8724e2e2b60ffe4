//! The weights of one network after the other, as far as they act.

use super::super::Stream;
use super::super::explicit::ExplicitSampler;
use super::super::general::Weights;
use super::super::normal::BulkGenerator;
use super::Means;
use super::matrix::{Normals, UnseenMatrix, Way};
use crate::network::layer::{LayerRule, Product, Role, Scratch, mask, rectify};
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
    product: Product,
    /// What stands for the one that a bias is multiplied by: the ratio of its standard deviation to the weights'; `None` without biases.
    bias: Option<T>,
    inner: Vec<T>,
    outer: Vec<T>,
    memory: Vec<T>,
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
            let action = |product| (product, law.variances(index).weight.sqrt(), law.law_of(index, Role::Bias));
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
                Means::Acting(product) => Held::Acting(Box::new(Action::new(action(product), node.has_bias()))),
            }
        };
        Self { layers: running.nodes().iter().enumerate().map(held).collect(), numbers: None }
    }
}

impl<T: Real> Action<T> {
    fn new(
        (product, std_dev, bias): (Product, f64, Option<(crate::network::WeightDistribution, f64)>),
        has_bias: bool,
    ) -> Self {
        let bias = bias.filter(|_| has_bias).map(|(_, of_bias)| T::from_f64(of_bias / std_dev));
        let columns = product.inputs + usize::from(bias.is_some());
        let matrix = UnseenMatrix::new(product.outputs, columns, T::from_f64(std_dev));
        Self { matrix, product, bias, inner: Vec::new(), outer: Vec::new(), memory: Vec::new() }
    }

    /// Values of a patch, with that of the bias.
    fn pitch(&self) -> usize {
        self.product.inputs + usize::from(self.bias.is_some())
    }

    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], numbers: &mut impl Normals<T>) {
        let Product { outputs, inputs, patches } = self.product;
        let (node, pitch) = (place.node, self.pitch());
        let (given, taken) = (patches * pitch, patches * outputs);
        self.inner.resize(place.batch * given, T::zero());
        self.outer.resize(place.batch * taken, T::zero());
        for (sample, laid) in input.chunks_exact(node.input.len()).zip(self.inner.chunks_exact_mut(given)) {
            node.layer.lay_patches(node.site(), sample, pitch, laid, &mut self.memory);
            if let Some(bias) = self.bias {
                laid.chunks_exact_mut(pitch).for_each(|patch| patch[inputs] = bias);
            }
        }
        self.matrix.multiply(Way::Forward, &mut self.inner, &mut self.outer, numbers);
        for (sample, products) in output.chunks_exact_mut(taken).zip(self.outer.chunks_exact(taken)) {
            transpose(products, outputs, sample);
        }
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        upstream: &[T],
        downstream: &mut [T],
        numbers: &mut impl Normals<T>,
    ) {
        let Product { outputs, patches, .. } = self.product;
        let (node, pitch) = (place.node, self.pitch());
        let (given, taken) = (patches * pitch, patches * outputs);
        self.inner.resize(place.batch * given, T::zero());
        self.outer.resize(place.batch * taken, T::zero());
        for (sample, laid) in upstream.chunks_exact(taken).zip(self.outer.chunks_exact_mut(taken)) {
            transpose(sample, patches, laid);
        }
        self.matrix.multiply(Way::Transposed, &mut self.outer, &mut self.inner, numbers);
        for (sample, products) in downstream.chunks_exact_mut(node.input.len()).zip(self.inner.chunks_exact(given)) {
            node.layer.sum_patches(node.site(), products, pitch, sample, &mut self.memory);
        }
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
                Held::Acting(action) => action.matrix.forget(),
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
            Held::Acting(action) => action.apply(place, input, output, numbers),
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
            Held::Acting(action) => action.apply_transposed(place, upstream, downstream, numbers),
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
            Held::Acting(action) => action.matrix.forget(),
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
