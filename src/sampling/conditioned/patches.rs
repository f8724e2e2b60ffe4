//! Patches of images, which lie pixel by pixel with all channels of one together.

use crate::network::Node;
use crate::network::Real;
use crate::network::layer::{LayerRule, Product};

/// What the patches of a batch show.
#[derive(Debug, Clone)]
pub struct Patches {
    /// Samples.
    pub batch: usize,
    /// Pixels of a patch.
    pub taps: usize,
    /// Patches of all samples.
    pub count: usize,
    /// Pixels of all samples.
    pub pixels: usize,
    /// Every tap that shows a pixel; the samples one after the other.
    pub seen: Vec<Seen>,
}

/// A tap of a patch, and the pixel that it shows.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    pub tap: usize,
    pub patch: usize,
    pub pixel: usize,
}

impl Patches {
    /// The patches of a layer that is such a product, of so many samples.
    pub fn new(node: &Node, product: Product, batch: usize) -> Self {
        let pixels = node.input.len() / product.channels;
        let mut seen = Vec::new();
        for sample in 0..batch {
            node.layer.for_each_seen(node.site(), |tap, patch, pixel| {
                seen.push(Seen { tap, patch: sample * product.patches + patch, pixel: sample * pixels + pixel });
            });
        }
        Self { batch, taps: product.taps, count: batch * product.patches, pixels: batch * pixels, seen }
    }

    /// Writes all patches, each at the beginning of `pitch` values: tap by tap, the channels of the pixel, and zeros where there is none.
    pub fn lay<T: Real>(&self, pixels: &[T], channels: usize, pitch: usize, patches: &mut [T]) {
        if self.seen.len() < self.count * self.taps {
            patches.fill(T::zero());
        }
        for &Seen { tap, patch, pixel } in &self.seen {
            let shown = &pixels[pixel * channels..][..channels];
            patches[patch * pitch + tap * channels..][..channels].copy_from_slice(shown);
        }
    }

    /// The adjoint: writes, for each pixel, the sum over the taps that show it.
    pub fn sum<T: Real>(&self, patches: &[T], channels: usize, pitch: usize, pixels: &mut [T]) {
        pixels.fill(T::zero());
        for &Seen { tap, patch, pixel } in &self.seen {
            let shown = &patches[patch * pitch + tap * channels..][..channels];
            pixels[pixel * channels..][..channels].iter_mut().zip(shown).for_each(|(sum, &more)| *sum += more);
        }
    }
}
