//! The objectives of training from outside: their values and parameter gradients against PyTorch's, which differentiates them
//! twice where they hold gradients, on recorded networks with every type of layer (`tests/data/training/make.py`).
//!
//! Attacks with a random start are compared, too: the generator of the test gives a start that PyTorch knows.

use std::path::{Path, PathBuf};

use gradlaw::network::batch::to_channels_last;
use gradlaw::network::layer::*;
use gradlaw::network::{Architecture, Norm, Parameters, Part, Real, Shape, WeightFile};
use gradlaw::training::objective::{
    AdversarialAugmentation, CrossLipschitz, GradientPenalty, ObjectiveRule, Plain, ProjectedGradient,
};
use gradlaw::training::{BatchModel, Objective};
use ndarray::{Array2, Array4};
use ndarray_npy::read_npy;
use ndarray_rand::rand::RngCore;
use serde_json::Value;

/// Numbers 37·i mod 64 in the highest bits: -1 + (37·i mod 64)/32 as a uniform number between -1 and 1.
struct Start(u64);

impl RngCore for Start {
    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        ((self.0 - 1) * 37 % 64) << 58
    }

    fn next_u32(&mut self) -> u32 {
        (self.next_u64() >> 32) as u32
    }

    fn fill_bytes(&mut self, _: &mut [u8]) {
        unreachable!("no objective draws bytes");
    }
}

/// The rows of the recorded gradients.
fn objectives() -> [(&'static str, Objective); 8] {
    let penalty = |q| Objective::GradientPenalty(GradientPenalty { norm: Norm::new(q).unwrap(), strength: 0.05 });
    let augmentation = |norm| Objective::AdversarialAugmentation(AdversarialAugmentation { norm, strength: 0.02 });
    [
        ("plain", Objective::Plain(Plain)),
        ("gradient l1", penalty(1.0)),
        ("gradient l2", penalty(2.0)),
        ("gradient l1.5", penalty(1.5)),
        ("augmentation linf", augmentation(Norm::INFINITY)),
        ("augmentation l2", augmentation(Norm::TWO)),
        ("pgd", Objective::ProjectedGradient(ProjectedGradient { strength: 0.02, steps: 3 })),
        ("cross-lipschitz", Objective::CrossLipschitz(CrossLipschitz { strength: 0.3 })),
    ]
}

fn conv(channels: usize, bias: bool, window: Window) -> Layer {
    Conv { channels, window, bias }.into()
}

/// 3 × 3 with one pixel beyond the edge.
fn same(mode: PaddingMode) -> Window {
    Window { padding: 1, mode, ..Window::new(3, 1) }
}

fn norm() -> Layer {
    BatchNorm { statistics: Statistics::Batch, epsilon: BatchNorm::USUAL_EPSILON }.into()
}

fn dense(units: usize, bias: bool) -> Layer {
    Dense { units, bias }.into()
}

fn pooled() -> Vec<Part> {
    let conv = || conv(4, true, same(PaddingMode::Reflect));
    vec![
        norm().into(),
        conv().into(),
        AveragePool(Window::new(2, 2)).into(),
        norm().into(),
        Relu.into(),
        Part::Residual { branch: vec![conv().into(), norm().into(), Relu.into()], projection: vec![] },
        MaxPool(Window::new(2, 1)).into(),
        WeightPool(Window::new(2, 1)).into(),
        Flatten.into(),
        dense(3, true).into(),
    ]
}

fn strided() -> Vec<Part> {
    let dilated = Window { padding: 2, dilation: 2, ..Window::new(3, 1) };
    let branch = [conv(5, false, same(PaddingMode::Circular)), norm(), Relu.into(), conv(5, false, dilated)];
    vec![
        conv(4, false, Window { stride: 2, ..same(PaddingMode::Zeros) }).into(),
        Relu.into(),
        Part::Residual {
            branch: branch.map(Part::from).into(),
            projection: vec![conv(5, true, Window::new(1, 1)).into()],
        },
        Relu.into(),
        GlobalAveragePool.into(),
        Flatten.into(),
        dense(6, false).into(),
        norm().into(),
        Relu.into(),
        dense(4, false).into(),
    ]
}

fn peaked() -> Vec<Part> {
    let layers = [
        conv(5, false, same(PaddingMode::Reflect)),
        norm(),
        Relu.into(),
        conv(5, true, Window::new(2, 2)),
        GlobalMaxPool.into(),
        Flatten.into(),
        dense(3, true),
    ];
    layers.map(Part::from).into()
}

fn activation(activation: Activation) -> Part {
    Pointwise(activation).into()
}

fn within_sample(kin: Kin) -> Part {
    SampleNorm { kin, epsilon: 1e-5 }.into()
}

fn smooth() -> Vec<Part> {
    let branch = vec![
        conv(4, false, same(PaddingMode::Reflect)).into(),
        activation(Activation::Tanh),
        conv(4, false, Window::new(1, 1)).into(),
        activation(Activation::Silu),
    ];
    vec![
        conv(4, true, same(PaddingMode::Zeros)).into(),
        within_sample(Kin::Group(2)),
        activation(Activation::Gelu),
        AveragePool(Window::new(2, 2)).into(),
        Part::Residual { branch, projection: vec![] },
        Flatten.into(),
        within_sample(Kin::Layer),
        dense(7, true).into(),
        activation(Activation::Softplus),
        dense(4, true).into(),
    ]
}

fn bent() -> Vec<Part> {
    vec![
        conv(4, false, Window { stride: 2, ..same(PaddingMode::Zeros) }).into(),
        norm().into(),
        activation(Activation::LeakyRelu { slope: 0.2 }),
        conv(5, true, same(PaddingMode::Zeros)).into(),
        activation(Activation::Sigmoid),
        Flatten.into(),
        within_sample(Kin::Rms),
        dense(6, true).into(),
        activation(Activation::Elu),
        dense(6, true).into(),
        activation(Activation::Erf),
        dense(3, true).into(),
    ]
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/training").join(file)
}

/// Asserts for each objective of a recorded network that its value and its whole parameter gradient are within `tolerance`.
fn check<T: Real>(name: &str, parts: Vec<Part>, tolerance: f64) {
    let architecture = Architecture::from_parts(Shape::new([2, 8, 8]).unwrap(), parts).unwrap();
    let mut file = WeightFile::open(&path(&format!("{name}.safetensors"))).unwrap();
    let parameters: Parameters<T> = file.parameters(&architecture).unwrap();
    let samples: Array4<f64> = read_npy(path(&format!("{name}.x.npy"))).unwrap();
    let samples: Vec<T> = samples.iter().map(|&value| T::from_f64(value)).collect();
    let dimension = architecture.dimension();
    let mut batch = vec![T::zero(); samples.len()];
    for (sample, pixels) in samples.chunks_exact(dimension).zip(batch.chunks_exact_mut(dimension)) {
        to_channels_last(architecture.input(), sample, pixels);
    }
    let recorded: Value = serde_json::from_slice(&std::fs::read(path(&format!("{name}.json"))).unwrap()).unwrap();
    let labels: Vec<usize> = serde_json::from_value(recorded["labels"].clone()).unwrap();
    let gradients: Array2<f64> = read_npy(path(&format!("{name}.gradients.npy"))).unwrap();
    assert_eq!(gradients.dim(), (objectives().len(), architecture.parameter_count()));

    let mut model = BatchModel::new(&architecture);
    model.load(&parameters);
    let mut gradient = Parameters::zeros(&architecture);
    for ((kind, objective), expected) in objectives().iter().zip(gradients.rows()) {
        let value = objective.accumulate(&mut model, &batch, &labels, &mut Start(0), |_| {});
        model.take_gradient(&mut gradient);
        let distance = |value: f64, expected: f64| (value - expected).abs() / expected.abs();
        let off = distance(value, recorded["values"][kind].as_f64().unwrap());
        assert!(off < tolerance, "{name}, {kind}: the objective is {off:e} away");
        let length = expected.iter().map(|value| value * value).sum::<f64>().sqrt();
        let pairs = gradient.values().iter().zip(expected);
        let far = pairs.map(|(found, expected)| (found.as_f64() - expected).powi(2)).sum::<f64>().sqrt();
        let off = far / length;
        assert!(off < tolerance, "{name}, {kind}: the gradient is {off:e} away");
    }
}

#[test]
fn objectives_have_the_gradients_that_pytorch_computes() {
    type Network = (&'static str, fn() -> Vec<Part>);
    let networks: [Network; 5] =
        [("pooled", pooled), ("strided", strided), ("peaked", peaked), ("smooth", smooth), ("bent", bent)];
    for (name, network) in networks {
        check::<f64>(name, network(), 1e-9);
        check::<f32>(name, network(), 1e-4);
    }
}
