//! The explicit sampler's worker for dense networks: weights are used while they are in registers, and are made again
//! rather than stored where the network is large.
//!
//! Going forward, each row of a layer is multiplied with the layer's input as it is made. The way back needs the rows of
//! open units only. They are kept while they fit in [`KEPT`]; of the others a worker keeps the generator's state, from
//! which it makes them again. So a worker needs memory for a few rows and not for a matrix, and at most half of the
//! weights are made twice.
//!
//! Rows are as long as the input filled up with zeros to whole granules of the generator, so that one path serves all.

use pulp::NullaryFnOnce;

use super::Stream;
use super::explicit::ExplicitSampler;
use super::monte_carlo::Worker;
use super::normal::{BulkGenerator, WeightLaw};
use crate::network::layer::{Activation, Layer, LayerRule, Role};
use crate::network::norm::NormSums;
use crate::network::{InstructionSet, Norm, WeightDistribution, loss};
use crate::observable::Gradient;
use crate::stop::Stop;

/// Weights that a worker keeps of one network at most: 16 MB.
const KEPT: usize = 1 << 22;

/// Rows shorter than this are made and kept all at once, open or not.
const SHORT: usize = 512;

/// Most weights made in vain because rows end within a granule, relative to all.
const MOST_WASTE: f64 = 0.5;

/// A network as this worker sees it.
#[derive(Debug, Clone)]
pub(super) struct FusedPlan {
    layers: Vec<DenseLayer>,
}

/// A dense layer with what follows it.
#[derive(Debug, Clone)]
struct DenseLayer {
    /// Inputs, filled up to whole granules.
    length: usize,
    units: usize,
    weights: WeightLaw,
    biases: Option<WeightLaw>,
    relu: bool,
    /// Rows that may be kept.
    capacity: usize,
    /// Whether all rows are kept, and not only those of open units.
    whole: bool,
}

impl FusedPlan {
    /// The plan, where this worker can do what is asked: dense layers with or without ReLU, in single precision, whose
    /// parameters are independent, and of which gradients are observed.
    pub fn new(sampler: &ExplicitSampler) -> Option<Self> {
        let ExplicitSampler { architecture, initialisation, observables, batch, .. } = sampler;
        let gradients_only = observables.iter().all(|observable| observable.of_gradient().is_some());
        if *batch != 1 || !gradients_only || !initialisation.is_independent() || sampler.needs_double() {
            return None;
        }
        let mut layers: Vec<DenseLayer> = Vec::new();
        for (index, node) in architecture.nodes().iter().enumerate() {
            match &node.layer {
                _ if node.addend.is_some() || node.source != index => return None,
                Layer::Flatten(_) => {}
                layer if layer.activation() == Some(Activation::Relu) => layers.last_mut()?.relu = true,
                Layer::Dense(dense) => {
                    let law = |role| {
                        let law = initialisation.law_of(index, role);
                        law.map(|(distribution, std_dev)| WeightLaw { distribution, std_dev })
                    };
                    layers.push(DenseLayer {
                        length: whole_granules(node.input.len()),
                        units: dense.units,
                        weights: law(Role::Weight(node.fan()?))?,
                        biases: if dense.bias { law(Role::Bias) } else { None },
                        relu: false,
                        capacity: 0,
                        whole: false,
                    });
                }
                _ => return None,
            }
        }
        let made = layers.iter().map(|layer| layer.length as f64 * layer.units as f64).sum::<f64>();
        if made > (1.0 + MOST_WASTE) * architecture.parameter_count() as f64 {
            return None;
        }
        // The last layers' rows are read first on the way back, while they are still in the nearest cache. A layer of which
        // only a part could be kept is made again: reading from far takes as long. Signs are made in less time than read.
        let mut left = KEPT;
        for layer in layers.iter_mut().rev() {
            let expected = if layer.relu { layer.units / 2 } else { layer.units };
            let short = layer.length < SHORT && layer.units <= left / layer.length;
            let signs = layer.weights.distribution == WeightDistribution::Rademacher;
            if short || (!signs && expected <= left / layer.length) {
                layer.capacity = (left / layer.length).min(layer.units);
                layer.whole = short;
                left -= layer.capacity * layer.length;
            }
        }
        Some(Self { layers })
    }

    /// Bytes that a worker holds at most.
    pub fn bytes(&self) -> u64 {
        let widest = self.layers.iter().map(|layer| layer.length).max().unwrap_or(0);
        let per_layer = self.layers.iter().map(|layer| {
            let floats = layer.capacity * layer.length + layer.length + 3 * layer.units;
            let states = (layer.units - layer.capacity).saturating_mul(size_of::<BulkGenerator>());
            floats.saturating_mul(size_of::<f32>()).saturating_add(states)
        });
        per_layer.fold(widest * 2 * size_of::<f32>(), usize::saturating_add) as u64
    }
}

fn whole_granules(count: usize) -> usize {
    count.saturating_add(BulkGenerator::GRANULE - 1) / BulkGenerator::GRANULE * BulkGenerator::GRANULE
}

/// What a worker holds of one layer.
#[derive(Debug)]
struct LayerMemory {
    /// Its input, with zeros behind.
    input: Vec<f32>,
    biases: Vec<f32>,
    /// Units of the last draw that let something through, in order.
    open: Vec<usize>,
    /// Rows: of all units where the plan says `whole`, else of the first open ones.
    kept: Vec<f32>,
    /// Where the rows of the other open units begin.
    states: Vec<BulkGenerator>,
}

/// Makes draws by a plan.
pub(super) struct FusedWorker<'a> {
    sampler: &'a ExplicitSampler,
    plan: FusedPlan,
    memory: Vec<LayerMemory>,
    logits: Vec<f32>,
    /// The gradients with respect to a layer's outputs and inputs.
    gradients: [Vec<f32>; 2],
    sums: NormSums,
    stop: Stop,
}

impl<'a> FusedWorker<'a> {
    pub fn new(sampler: &'a ExplicitSampler, plan: FusedPlan) -> Self {
        let memory = |layer: &DenseLayer| LayerMemory {
            input: vec![0.0; layer.length],
            biases: vec![0.0; if layer.biases.is_some() { layer.units } else { 0 }],
            open: Vec::with_capacity(layer.units),
            kept: vec![0.0; layer.capacity * layer.length],
            states: Vec::new(),
        };
        let widest = plan.layers.iter().map(|layer| layer.length).max().unwrap_or(0);
        let outputs = sampler.architecture.outputs();
        let norms: Vec<Norm> = sampler.observables.iter().filter_map(|o| o.of_gradient()?.norm()).collect();
        Self {
            sampler,
            memory: plan.layers.iter().map(memory).collect(),
            plan,
            logits: vec![0.0; outputs],
            gradients: [vec![0.0; widest.max(outputs)], vec![0.0; widest.max(outputs)]],
            sums: NormSums::new(&norms),
            stop: Stop::default(),
        }
    }

    fn forward(&mut self, generator: &mut BulkGenerator) {
        let mut memory = &mut self.memory[..];
        for layer in &self.plan.layers {
            let Some((own, later)) = memory.split_first_mut() else { return };
            let outputs = later.first_mut().map_or(&mut self.logits[..], |next| &mut next.input[..layer.units]);
            layer.forward(own, generator, outputs, &self.stop);
            memory = later;
        }
    }

    /// ∂ₓ of a function of the logits, whose derivatives with respect to them `write` writes over zeros.
    fn backward(&mut self, write: impl FnOnce(&[f32], &mut [f32])) -> &[f32] {
        let [mut above, mut below] = self.gradients.each_mut().map(|gradient| &mut gradient[..]);
        let upstream = &mut above[..self.logits.len()];
        upstream.fill(0.0);
        write(&self.logits, upstream);
        for (layer, memory) in self.plan.layers.iter().zip(&self.memory).rev() {
            layer.backward(memory, above, &mut below[..layer.length], &self.stop);
            std::mem::swap(&mut above, &mut below);
        }
        &above[..self.sampler.architecture.dimension()]
    }
}

impl Worker for FusedWorker<'_> {
    fn stop_at(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        let ExplicitSampler { architecture, input, label, observables, .. } = self.sampler;
        let (chosen, label) = input.choose(*label, architecture.outputs(), &mut stream);
        // A plan has a layer at least: an architecture has weights.
        chosen.write(&mut self.memory[0].input[..architecture.dimension()]);
        self.forward(&mut BulkGenerator::new(&mut stream));
        if self.stop.is_asked() {
            return;
        }
        for gradient in [Gradient::Loss, Gradient::Logit] {
            let observed = || observables.iter().map(|o| o.of_gradient().filter(|o| o.gradient == gradient));
            if observed().flatten().next().is_none() {
                continue;
            }
            let mut sums = std::mem::replace(&mut self.sums, NormSums::new(&[]));
            sums.clear();
            sums.add(match gradient {
                Gradient::Loss => self.backward(|logits, upstream| {
                    loss::cross_entropy_gradient(logits, label, upstream);
                }),
                Gradient::Logit => self.backward(|_, upstream| upstream[0] = 1.0),
            });
            for (value, observable) in values.iter_mut().zip(observed()) {
                if let Some(observable) = observable {
                    *value = observable.of_sums(&sums);
                }
            }
            self.sums = sums;
        }
    }
}

impl DenseLayer {
    /// Where it is asked to stop it leaves out the rows that are still to be made: the draw is then thrown away.
    fn forward(&self, memory: &mut LayerMemory, generator: &mut BulkGenerator, outputs: &mut [f32], stop: &Stop) {
        let LayerMemory { input, biases, open, kept, states } = memory;
        open.clear();
        states.clear();
        if let Some(law) = self.biases {
            generator.fill(law, biases);
        }
        if self.whole {
            generator.multiply(self.weights, input, outputs, kept);
            outputs.iter_mut().zip(biases).for_each(|(value, bias)| *value += *bias);
            self.gate(outputs, open);
            return;
        }
        for (unit, value) in outputs.iter_mut().enumerate() {
            // Rows here are long, or made again because they are too many to keep: the question costs nothing beside one.
            if stop.is_asked() {
                return;
            }
            let place = open.len();
            let output = std::slice::from_mut(value);
            if place < self.capacity {
                let row = &mut kept[place * self.length..][..self.length];
                generator.multiply(self.weights, input, output, row);
            } else {
                let state = generator.clone();
                generator.multiply(self.weights, input, output, &mut []);
                states.push(state);
            }
            *value += biases.get(unit).copied().unwrap_or(0.0);
            if self.closes(*value) {
                *value = 0.0;
                states.truncate(place.saturating_sub(self.capacity));
            } else {
                open.push(unit);
            }
        }
    }

    /// Whether the layer's ReLU lets nothing through; written so that a NaN is passed on rather than hidden as a zero.
    fn closes(&self, value: f32) -> bool {
        self.relu & (value <= 0.0)
    }

    /// Applies the ReLU to all units and lists those that are open. Without branches, which would be guessed wrong half of
    /// the time.
    fn gate(&self, outputs: &mut [f32], open: &mut Vec<usize>) {
        open.resize(outputs.len(), 0);
        let mut count = 0;
        for (unit, value) in outputs.iter_mut().enumerate() {
            let closed = self.closes(*value);
            *value = if closed { 0.0 } else { *value };
            open[count] = unit;
            count += usize::from(!closed);
        }
        open.truncate(count);
    }

    /// downstream = Wᵀ upstream, rows of closed units left out; rows are added one after another in their order.
    fn backward(&self, memory: &LayerMemory, upstream: &[f32], downstream: &mut [f32], stop: &Stop) {
        let LayerMemory { open, kept, states, .. } = memory;
        let (kept_units, other_units) =
            open.split_at(if self.whole { open.len() } else { open.len().min(self.capacity) });
        downstream.fill(0.0);
        let row = |place: usize| &kept[place * self.length..][..self.length];
        let places = kept_units.iter().enumerate();
        let rows = places.map(|(place, &unit)| (upstream[unit], row(if self.whole { unit } else { place })));
        let mut rows = rows.filter(|(factor, _)| *factor != 0.0).fuse();
        loop {
            let next: [Option<(f32, &[f32])>; 4] = std::array::from_fn(|_| rows.next());
            if let [Some(a), Some(b), Some(c), Some(d)] = next {
                InstructionSet::current().run(AddRows { rows: [a, b, c, d], sums: downstream });
                continue;
            }
            for row in next.into_iter().flatten() {
                InstructionSet::current().run(AddRows { rows: [row], sums: downstream });
            }
            break;
        }
        for (&unit, state) in other_units.iter().zip(states).filter(|(unit, _)| upstream[**unit] != 0.0) {
            if stop.is_asked() {
                return;
            }
            state.clone().add_row(self.weights, upstream[unit], downstream);
        }
    }
}

/// Adds multiples of a few rows to a vector, one after another.
struct AddRows<'a, const N: usize> {
    rows: [(f32, &'a [f32]); N],
    sums: &'a mut [f32],
}

impl<const N: usize> NullaryFnOnce for AddRows<'_, N> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rows, sums } = self;
        let rows = rows.map(|(factor, row)| (factor, &row[..sums.len()]));
        for (index, sum) in sums.iter_mut().enumerate() {
            for (factor, row) in rows {
                *sum = factor.mul_add(row[index], *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Architecture, Dense, Initialisation, Relu, Shape, Variances};
    use crate::sampling::normal::plain_product;
    use crate::sampling::{InputLaw, LabelRule, Sampler, StreamKey};

    const DIMENSION: usize = 600;

    fn sampler(distribution: WeightDistribution, input: InputLaw) -> ExplicitSampler {
        let biased = |units| Dense { units, bias: true }.into();
        let layers = vec![biased(40), Relu.into(), Dense::new(70).into(), Relu.into(), biased(33), biased(5)];
        let architecture = Architecture::new(Shape::new([DIMENSION]).unwrap(), layers).unwrap();
        let rule = |index, fan_in: usize, _| {
            let bias = if index == 0 { 0.2 } else { 0.0 };
            Ok::<_, ()>(Variances { weight: 2.0 / fan_in as f64, bias })
        };
        ExplicitSampler {
            initialisation: Initialisation::by_layer(&architecture, distribution, rule).unwrap(),
            architecture,
            input,
            label: LabelRule::Random,
            observables: ["loss.l1", "logit.l2"].map(|name| name.parse().unwrap()).to_vec(),
            batch: 1,
            path_total: None,
        }
    }

    /// The gradients of one draw with all weights stored, in plain loops: of the loss, and of logit 0.
    fn twin(sampler: &ExplicitSampler, plan: &FusedPlan, mut stream: Stream) -> [Vec<f32>; 2] {
        let (chosen, label) = sampler.input.choose(sampler.label, sampler.architecture.outputs(), &mut stream);
        let mut values = vec![0.0; DIMENSION];
        chosen.write(&mut values);
        let mut generator = BulkGenerator::new(&mut stream);
        let mut layers = Vec::new();
        for layer in &plan.layers {
            values.resize(layer.length, 0.0);
            let mut biases = vec![0.0; layer.units];
            if let Some(law) = layer.biases {
                generator.fill(law, &mut biases);
            }
            let mut rows = vec![vec![0.0f32; layer.length]; layer.units];
            rows.iter_mut().for_each(|row| generator.fill(layer.weights, row));
            let mut outputs: Vec<f32> = rows.iter().map(|row| plain_product(row, &values)).collect();
            outputs.iter_mut().zip(biases).for_each(|(output, bias)| *output += bias);
            let open: Vec<bool> = outputs.iter().map(|&output| !layer.relu || output > 0.0).collect();
            outputs.iter_mut().zip(&open).filter(|(_, open)| !**open).for_each(|(output, _)| *output = 0.0);
            values = outputs;
            layers.push((rows, open));
        }
        let mut loss = vec![0.0; values.len()];
        loss::cross_entropy_gradient(&values, label, &mut loss);
        let mut logit = vec![0.0; values.len()];
        logit[0] = 1.0;
        [loss, logit].map(|mut upstream| {
            for (rows, open) in layers.iter().rev() {
                let mut downstream = vec![0.0; rows[0].len()];
                for ((row, factor), _) in rows.iter().zip(upstream).zip(open).filter(|(_, open)| **open) {
                    downstream.iter_mut().zip(row).for_each(|(sum, &weight)| *sum = factor.mul_add(weight, *sum));
                }
                upstream = downstream;
            }
            upstream.truncate(DIMENSION);
            upstream
        })
    }

    #[test]
    fn gradients_have_the_bits_of_a_twin_that_stores_all_weights() {
        use WeightDistribution::{Normal, Rademacher, Uniform};
        for distribution in [Normal, Uniform, Rademacher] {
            let sampler = sampler(distribution, InputLaw::Gaussian);
            let plan = FusedPlan::new(&sampler).unwrap();
            for capacity in [None, Some(0), Some(7), Some(1000)] {
                let mut plan = plan.clone();
                for layer in &mut plan.layers {
                    layer.whole &= capacity.is_none();
                    layer.capacity = capacity.map_or(layer.capacity, |capacity| layer.units.min(capacity));
                }
                let mut worker = FusedWorker::new(&sampler, plan.clone());
                for draw in 0..4 {
                    let stream = || StreamKey::new(4, &["twin"]).draw(draw);
                    let [loss, logit] = twin(&sampler, &plan, stream());
                    let mut values = [0.0; 2];
                    worker.draw(stream(), &mut values);
                    assert_eq!(values, [Norm::ONE.of(&loss), Norm::TWO.of(&logit)], "{distribution:?} {capacity:?}");
                }
            }
        }
    }

    /// 2⁴⁴ weights would take hours.
    #[test]
    fn a_draw_that_is_to_stop_makes_no_more_rows() {
        let layers = vec![Dense::new(1 << 22).into(), Relu.into(), Dense::new(1 << 4).into()];
        let architecture = Architecture::new(Shape::new([1 << 22]).unwrap(), layers).unwrap();
        let mut large = sampler(WeightDistribution::Normal, InputLaw::Gaussian);
        large.initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        large.architecture = architecture;
        let (mut worker, stop) = (large.worker(), Stop::new());
        worker.stop_at(&stop);
        stop.ask();
        worker.draw(StreamKey::new(1, &[]).draw(0), &mut [0.0; 2]);
    }

    #[test]
    fn nan_is_counted_and_a_dead_network_gives_zero() {
        let mut dead = sampler(WeightDistribution::Normal, InputLaw::Constant(0.0));
        dead.initialisation = Initialisation::he(&dead.architecture, WeightDistribution::Normal, 1.0);
        let mut values = [1.0; 2];
        dead.worker().draw(StreamKey::new(1, &[]).draw(0), &mut values);
        assert_eq!(values, [0.0; 2]);
        let unknown = sampler(WeightDistribution::Normal, InputLaw::Constant(f32::NAN));
        unknown.worker().draw(StreamKey::new(1, &[]).draw(0), &mut values);
        assert!(values[0].is_nan());
    }

    #[test]
    fn memory_does_not_grow_with_the_product_of_dimension_and_width() {
        let layers =
            vec![Dense::new(512).into(), Relu.into(), Dense::new(512).into(), Relu.into(), Dense::new(10).into()];
        let architecture = Architecture::new(Shape::new([1_000_000]).unwrap(), layers).unwrap();
        let mut large = sampler(WeightDistribution::Normal, InputLaw::Gaussian);
        large.initialisation = Initialisation::he(&architecture, WeightDistribution::Normal, 1.0);
        large.architecture = architecture;
        assert!(large.bytes_per_worker() < 40_000_000, "{}", large.bytes_per_worker());
    }

    #[test]
    fn networks_of_other_kinds_are_left_to_the_general_worker() {
        let fused = sampler(WeightDistribution::Normal, InputLaw::Gaussian);
        assert!(FusedPlan::new(&fused).is_some());
        let mut correlated = fused.clone();
        correlated.initialisation.broken_hypotheses.unit_correlation = 0.1;
        assert!(FusedPlan::new(&correlated).is_none());
        let mut attacked = fused.clone();
        attacked.observables.push("damage.fgsm@0.1".parse().unwrap());
        assert!(FusedPlan::new(&attacked).is_none());
        let mut narrow = fused;
        narrow.architecture = Architecture::new(Shape::new([3]).unwrap(), vec![Dense::new(4).into()]).unwrap();
        narrow.initialisation = Initialisation::he(&narrow.architecture, WeightDistribution::Normal, 1.0);
        assert!(FusedPlan::new(&narrow).is_none(), "rows of three weights in granules of 32");
    }
}
