//! The networks that are measured.

use std::path::Path;

use gradlaw::network::{
    Activation, Architecture, Conv, Dense, GlobalAveragePool, Initialisation, Kin, Layer, Pointwise, Relu, SampleNorm,
    Shape, WeightDistribution, Window,
};
use gradlaw::observable::Observable;
use gradlaw::sampling::{CollapsedSampler, ConditionedSampler, ExplicitSampler, InputLaw, LabelRule};

use crate::peers::Peer;

/// The observables of explicit draws, as the peers compute them.
pub const NORMS: [&str; 3] = ["loss.l1", "loss.l2", "loss.linf"];

/// A framework that peers are written with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    Torch,
    Jax,
}

/// A network, and the peer that draws the same.
#[derive(Debug)]
pub struct Case {
    pub name: String,
    pub architecture: Architecture,
    pub weights: WeightDistribution,
    /// The peer's program and its argument; none where there is no peer.
    pub peer: Option<(&'static str, String)>,
}

impl Case {
    pub fn sampler(&self) -> ExplicitSampler {
        ExplicitSampler {
            initialisation: Initialisation::he(&self.architecture, self.weights, 1.0),
            architecture: self.architecture.clone(),
            input: InputLaw::Gaussian,
            label: LabelRule::Random,
            observables: observables(&NORMS),
            batch: 1,
            path_total: None,
        }
    }

    pub fn collapsed(&self, names: &[&str]) -> CollapsedSampler {
        let initialisation = Initialisation::he(&self.architecture, self.weights, 1.0);
        let sampler = CollapsedSampler::new(
            &self.architecture,
            &initialisation,
            InputLaw::Gaussian,
            LabelRule::Random,
            observables(names),
        );
        sampler.expect("a dense chain")
    }

    pub fn conditioned(&self) -> ConditionedSampler {
        ConditionedSampler::new(self.sampler()).expect("Gaussian weights")
    }

    /// The peers in these frameworks, with their best settings.
    pub fn peers(&self, python: &Path, quick: bool) -> Vec<(Framework, Peer)> {
        let Some((program, argument)) = &self.peer else { return Vec::new() };
        let tuned = |framework: Framework| {
            let name = format!("{framework:?}").to_lowercase();
            Some((framework, Peer::tuned(python, program, argument, &name, quick)?))
        };
        self.frameworks().filter_map(tuned).collect()
    }

    fn frameworks(&self) -> impl Iterator<Item = Framework> {
        let all: &[Framework] = match &self.peer {
            None => &[],
            Some(("conv.py", _)) => &[Framework::Torch],
            Some(_) => &[Framework::Torch, Framework::Jax],
        };
        all.iter().copied()
    }
}

fn observables(names: &[&str]) -> Vec<Observable> {
    names.iter().map(|name| name.parse().expect("an observable")).collect()
}

/// Dense layers with ReLU, then ten logits.
pub fn dense(dimension: usize, widths: &[usize]) -> Architecture {
    let mut layers: Vec<Layer> = widths.iter().flat_map(|&units| [Dense::new(units).into(), Relu.into()]).collect();
    layers.push(Dense::new(10).into());
    Architecture::new(Shape::new([dimension]).expect("positive"), layers).expect("layers fit")
}

/// Dense layers of these widths with tanh, or with layer normalisation and ReLU.
pub fn activated(dimension: usize, widths: &[usize], normalised: bool) -> Architecture {
    let between = || -> Vec<Layer> {
        if normalised {
            vec![SampleNorm { kin: Kin::Layer, epsilon: 1e-5 }.into(), Relu.into()]
        } else {
            vec![Pointwise(Activation::Tanh).into()]
        }
    };
    let hidden = widths.iter().flat_map(|&width| std::iter::once(Dense::new(width).into()).chain(between()));
    let layers = hidden.chain([Dense::new(10).into()]).collect();
    Architecture::new(Shape::new([dimension]).expect("not empty"), layers).expect("layers that fit")
}

/// 3×s×s, four 3×3 convolutions of 64 channels with zero padding and strides 1, 2, 1, 2, global average pool, ten logits.
pub fn convolutional(side: usize) -> Architecture {
    convolutions(side, 64)
}

/// The same of so many channels.
pub fn convolutions(side: usize, channels: usize) -> Architecture {
    let mut layers: Vec<Layer> = Vec::new();
    for stride in [1, 2, 1, 2] {
        let window = Window { padding: 1, ..Window::new(3, stride) };
        layers.extend([Conv { channels, window, bias: false }.into(), Relu.into()]);
    }
    layers.extend([GlobalAveragePool.into(), Dense::new(10).into()]);
    Architecture::new(Shape::new([3, side, side]).expect("positive"), layers).expect("layers fit")
}

fn dense_case(dimension: usize, widths: &[usize], weights: WeightDistribution) -> Case {
    let list = widths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let law = match weights {
        WeightDistribution::Normal => String::new(),
        other => format!(", {}", format!("{other:?}").to_lowercase()),
    };
    let peer = (weights == WeightDistribution::Normal)
        .then(|| ("dense.py", format!("{{\"inputs\": {dimension}, \"widths\": [{list}], \"outputs\": 10}}")));
    Case { name: format!("{dimension}; {list}{law}"), architecture: dense(dimension, widths), weights, peer }
}

/// The networks of the table of explicit draws.
pub fn explicit() -> Vec<Case> {
    use WeightDistribution::{Normal, Rademacher, Uniform};
    let dense = [
        dense_case(64, &[128; 3], Normal),
        dense_case(784, &[256; 3], Normal),
        dense_case(3072, &[512; 3], Normal),
        dense_case(12_288, &[512; 3], Normal),
        dense_case(49_152, &[512; 2], Normal),
        dense_case(3072, &[512; 3], Uniform),
        dense_case(3072, &[512; 3], Rademacher),
    ];
    let convolutional = [16, 32, 64].map(|side| Case {
        name: format!("convolutions, 3×{side}×{side}"),
        architecture: convolutional(side),
        weights: Normal,
        peer: Some(("conv.py", format!("{{\"side\": {side}}}"))),
    });
    dense.into_iter().chain(convolutional).collect()
}

/// The networks of the table of conditioned draws.
pub fn conditioned() -> Vec<Case> {
    let case = |name: String, architecture, peer| Case {
        name,
        architecture,
        weights: WeightDistribution::Normal,
        peer: Some(peer),
    };
    let wide = [512, 2048, 8192].into_iter().flat_map(|n| {
        [(false, "tanh", "tanh"), (true, "layer norm, ReLU", "layer-norm")].map(|(normalised, words, between)| {
            let peer = format!(
                "{{\"inputs\": 3072, \"widths\": [{n}, {n}, {n}], \"outputs\": 10, \"between\": \"{between}\"}}"
            );
            case(format!("3072; {n}, {n}, {n}, {words}"), activated(3072, &[n; 3], normalised), ("dense.py", peer))
        })
    });
    let channels = [(16, 64), (16, 256), (16, 512), (16, 1024), (32, 512)].map(|(side, channels)| {
        let peer = format!("{{\"side\": {side}, \"channels\": {channels}}}");
        let name = format!("convolutions of {channels}, 3×{side}×{side}");
        case(name, convolutions(side, channels), ("conv.py", peer))
    });
    wide.chain(channels).collect()
}

/// The networks of the table of collapsed draws.
pub fn collapsed() -> Vec<Case> {
    explicit().into_iter().filter(|case| matches!(case.peer, Some(("dense.py", _)))).collect()
}
