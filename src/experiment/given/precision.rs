//! What is computed of given networks, in either precision.
//!
//! A generic function is compiled again by every program that calls it, and these take whole passes of networks with them: by this trait they
//! are compiled here, once for each precision.

use ndarray_npy::WritableElement;

use super::{
    AttackRequest, Attacked, GivenNetwork, Gradients, LabelledSamples, Perturbed, Request, Selection, attacks,
    gradients,
};
use crate::attack::Bounds;
use crate::data::Npy;
use crate::experiment::SpecError;
use crate::experiment::work::Watcher;
use crate::network::Real;

/// A precision of weights, inputs and gradients: `f32` or `f64`.
pub trait Precision: Real + WritableElement {
    /// [`gradients`].
    ///
    /// # Errors
    /// As there.
    fn gradients(network: &GivenNetwork<Self>, request: &Request<'_, Self>) -> Result<Gradients<Self>, SpecError>;

    /// [`attacks`].
    fn attacks(
        network: &GivenNetwork<Self>,
        samples: &LabelledSamples<Self>,
        request: &AttackRequest<'_>,
        watcher: &dyn Watcher,
    ) -> (Attacked, Perturbed<Self>);

    /// [`LabelledSamples::read`].
    ///
    /// # Errors
    /// As there.
    fn read(network: &GivenNetwork<Self>, selection: &Selection<'_>) -> Result<LabelledSamples<Self>, SpecError>;

    /// [`LabelledSamples::of_array`].
    ///
    /// # Errors
    /// As there.
    fn of_array(
        network: &GivenNetwork<Self>,
        array: Npy<Self>,
        labels: Option<Vec<usize>>,
        bounds: Option<Bounds>,
    ) -> Result<LabelledSamples<Self>, SpecError>;
}

macro_rules! precisions {
    ($($real:ty)*) => {$(
        impl Precision for $real {
            fn gradients(network: &GivenNetwork<Self>, request: &Request<'_, Self>) -> Result<Gradients<Self>, SpecError> {
                gradients(network, request)
            }

            fn attacks(
                network: &GivenNetwork<Self>,
                samples: &LabelledSamples<Self>,
                request: &AttackRequest<'_>,
                watcher: &dyn Watcher,
            ) -> (Attacked, Perturbed<Self>) {
                attacks(network, samples, request, watcher)
            }

            fn read(network: &GivenNetwork<Self>, selection: &Selection<'_>) -> Result<LabelledSamples<Self>, SpecError> {
                LabelledSamples::read(network, selection)
            }

            fn of_array(
                network: &GivenNetwork<Self>,
                array: Npy<Self>,
                labels: Option<Vec<usize>>,
                bounds: Option<Bounds>,
            ) -> Result<LabelledSamples<Self>, SpecError> {
                LabelledSamples::of_array(network, array, labels, bounds)
            }
        }
    )*};
}

precisions! { f32 f64 }
