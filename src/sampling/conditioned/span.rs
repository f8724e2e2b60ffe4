//! Convolutions of more channels than pixels.
//!
//! Let X_κ be pixels that the same taps κ show, [pixels, channels], with orthonormal rows O_κ of their span, X_κ = L_κ O_κ. The weights of a
//! tap, W_t [outputs, channels], are Ŵ_t O_κ + W̃_t (I − O_κᵀ O_κ) with independent Gaussian Ŵ_t [outputs, rank] and W̃_t of the same
//! variance. On the way there only Ŵ_t acts: a convolution of images L_κ, whose channels are no more than pixels. On the way back it gives
//! the part of a pixel's gradient along O_κ; what is orthogonal to it is a product with W̃_t, of which nothing was seen before. So the long
//! products of a draw no longer have an axis of channels times taps.

use super::basis::{Basis, normalise};
use super::matrix::{Coordinates, Normals, UnseenMatrix, Way};
use super::patches::{Patches, Seen};
use super::rows::{combine, inner};
use crate::network::Real;

/// Pixels that are seen by the same taps, and no others by these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    pub taps: Vec<usize>,
    pub pixels: Vec<usize>,
}

/// The kinds of pixels of these patches: for a stride of s and a kernel of at least s there are s² of them, for most others one.
pub fn kinds(patches: &Patches) -> Vec<Kind> {
    // The kind of each tap, by the first of its taps; two taps that show one pixel are of one kind.
    let mut kind_of: Vec<usize> = (0..patches.taps).collect();
    let mut shown_by = vec![None; patches.pixels];
    for &Seen { tap, pixel, .. } in &patches.seen {
        let first = *shown_by[pixel].get_or_insert(tap);
        let [one, other] = [kind_of[first], kind_of[tap]];
        if one != other {
            kind_of.iter_mut().filter(|kind| **kind == one.max(other)).for_each(|kind| *kind = one.min(other));
        }
    }
    let of_kind = |kind: usize| Kind {
        taps: (0..patches.taps).filter(|&tap| kind_of[tap] == kind).collect(),
        pixels: (0..patches.pixels).filter(|&pixel| shown_by[pixel].is_some_and(|tap| kind_of[tap] == kind)).collect(),
    };
    (0..patches.taps).filter(|&tap| kind_of[tap] == tap).map(of_kind).filter(|kind| !kind.pixels.is_empty()).collect()
}

/// Pixels of the largest kind: as many coordinates has the span of any.
pub fn most_pixels(kinds: &[Kind]) -> usize {
    kinds.iter().map(|kind| kind.pixels.len()).max().unwrap_or(0)
}

/// The span of a layer's pixels, kind by kind.
pub struct Span<T> {
    kinds: Vec<OfKind<T>>,
    /// Values of a pixel, and its coordinates in the span.
    channels: usize,
    coordinates: usize,
    /// Coordinates that are kept of a vector above, one for each place and gradient.
    above: usize,
    upstream: Vec<T>,
    vectors: Vec<T>,
    products: Vec<T>,
}

/// What is known of one kind of pixels.
struct OfKind<T> {
    kind: Kind,
    /// Taps of this kind with the pixel's place among its own.
    seen: Vec<Seen>,
    basis: Basis<T>,
    /// W̃ᵀ of all taps, on vectors above in coordinates of theirs: the matrix that acts is W̃ U for their basis U, of the same law.
    outside: UnseenMatrix<T>,
}

impl<T: Real> Span<T> {
    /// The span of pixels with so many channels, weights of this standard deviation, and at most so many vectors back.
    pub fn new(patches: &Patches, channels: usize, std_dev: T, above: usize) -> Self {
        let of_kind = |kind: Kind| {
            let place_of = |places: &[usize], index: usize| places.binary_search(&index).ok();
            let seen = patches.seen.iter().filter_map(|&Seen { tap, patch, pixel }| {
                Some(Seen { tap: place_of(&kind.taps, tap)?, patch, pixel: place_of(&kind.pixels, pixel)? })
            });
            OfKind {
                seen: seen.collect(),
                basis: Basis::new(channels),
                outside: UnseenMatrix::new(kind.taps.len() * above, channels, std_dev),
                kind,
            }
        };
        let kinds = kinds(patches);
        let coordinates = most_pixels(&kinds).min(channels);
        let kinds = kinds.into_iter().map(of_kind).collect();
        Self { kinds, channels, coordinates, above, upstream: Vec::new(), vectors: Vec::new(), products: Vec::new() }
    }

    /// Coordinates of a pixel.
    pub fn coordinates(&self) -> usize {
        self.coordinates
    }

    /// Nothing is known again.
    pub fn forget(&mut self) {
        for of_kind in &mut self.kinds {
            of_kind.basis.clear();
            of_kind.outside.forget();
        }
    }

    /// Writes the pixels in coordinates of their span.
    pub fn reduce(&mut self, tolerance: f64, pixels: &[T], reduced: &mut [T]) {
        for OfKind { kind, basis, .. } in &mut self.kinds {
            gather(pixels, &kind.pixels, self.channels, &mut self.vectors);
            let sizes: Vec<T> = self.vectors.chunks_exact_mut(self.channels).map(|pixel| normalise(pixel)).collect();
            let shares = basis.extend(&self.vectors, tolerance).coefficients;
            let rank = basis.rank();
            for (vector, (&pixel, size)) in kind.pixels.iter().zip(sizes).enumerate() {
                let reduced = &mut reduced[pixel * self.coordinates..][..self.coordinates];
                // Zeros, or no numbers for a pixel that is none: these have no direction.
                reduced.fill(size * T::zero());
                let shares = &shares[vector * rank..][..rank];
                reduced.iter_mut().zip(shares).for_each(|(value, &share)| *value = size * share);
            }
        }
    }

    /// Writes the gradient of all pixels: from that along their span, in its coordinates, and by the vectors above what is orthogonal to it.
    pub fn expand(&mut self, reduced: &[T], above: &Coordinates<T>, pixels: &mut [T], normals: &mut impl Normals<T>) {
        pixels.fill(T::zero());
        self.upstream.resize(above.count() * self.above, T::zero());
        above.lay(self.above, &mut self.upstream);
        for OfKind { kind, seen, basis, outside } in &mut self.kinds {
            let pitch = kind.taps.len() * self.above;
            self.vectors.clear();
            self.vectors.resize(kind.pixels.len() * pitch, T::zero());
            for &Seen { tap, patch, pixel } in &*seen {
                let vector = &mut self.vectors[pixel * pitch + tap * self.above..][..self.above];
                let of_patch = &self.upstream[patch * self.above..][..self.above];
                vector.iter_mut().zip(of_patch).for_each(|(sum, &more)| *sum += more);
            }
            self.products.resize(kind.pixels.len() * self.channels, T::zero());
            outside.multiply(Way::Transposed, &mut self.vectors, &mut self.products, normals);
            let rank = basis.rank();
            if rank > 0 {
                let mut shares = basis.in_basis(inner(&self.products, basis.vectors(), self.channels));
                for (&pixel, shares) in kind.pixels.iter().zip(shares.chunks_exact_mut(rank)) {
                    let along = &reduced[pixel * self.coordinates..][..rank];
                    shares.iter_mut().zip(along).for_each(|(share, &along)| *share = along - *share);
                }
                combine(&basis.in_vectors(shares), basis.vectors(), &mut self.products, self.channels, true);
            }
            for (&pixel, product) in kind.pixels.iter().zip(self.products.chunks_exact(self.channels)) {
                pixels[pixel * self.channels..][..self.channels].copy_from_slice(product);
            }
        }
    }
}

/// Writes some of the pixels one after the other.
fn gather<T: Real>(pixels: &[T], places: &[usize], channels: usize, some: &mut Vec<T>) {
    some.clear();
    places.iter().for_each(|&pixel| some.extend_from_slice(&pixels[pixel * channels..][..channels]));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::layer::LayerRule;
    use crate::network::{Architecture, Conv, Dense, Flatten, PaddingMode, Shape, Window};

    fn kinds_of(window: Window, batch: usize) -> Vec<Kind> {
        let conv = Conv { channels: 1, window, bias: false }.into();
        let layers = vec![conv, Flatten.into(), Dense::new(2).into()];
        let network = Architecture::new(Shape::new([3, 4, 4]).unwrap(), layers).unwrap();
        let node = &network.nodes()[0];
        let product = node.layer.product(node.site()).unwrap();
        kinds(&Patches::new(node, product, batch))
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let patches = Patches { batch: 1, taps: 1, count: 2, pixels: 2, seen: vec![] };
        let seen = [0, 1].map(|pixel| Seen { tap: 0, patch: pixel, pixel }).to_vec();
        let mut span = Span::new(&Patches { seen, ..patches }, 5, 1.0, 2);
        let mut reduced = [0.5; 4];
        for (pixels, nan) in [([f64::NAN; 10], [true, true]), ([0.0; 10], [false, false])] {
            span.forget();
            span.reduce(1e-10, &pixels, &mut reduced);
            assert_eq!([reduced[0].is_nan(), reduced[2].is_nan()], nan);
        }
        let mut pixels = [1.0; 10];
        pixels[9] = f64::NAN;
        span.forget();
        span.reduce(1e-10, &pixels, &mut reduced);
        assert!(
            (reduced[0].hypot(reduced[1]) - 5f64.sqrt()).abs() < 1e-12 && reduced[2].is_nan() && reduced[3].is_nan()
        );
    }

    #[test]
    fn kinds_are_residues_of_the_stride() {
        let window = |size, stride| Window { padding: 1, ..Window::new(size, stride) };
        let all = |window: Window| Kind { taps: (0..window.size.pow(2)).collect(), pixels: (0..16).collect() };
        assert_eq!(kinds_of(window(3, 1), 1), [all(window(3, 1))]);
        // The middle tap of nine stands on even rows and columns plus the stride less the padding.
        let of_two = kinds_of(window(3, 2), 1);
        let taps: Vec<&[usize]> = of_two.iter().map(|kind| &kind.taps[..]).collect();
        assert_eq!(taps, [&[0, 2, 6, 8][..], &[1, 7], &[3, 5], &[4]]);
        assert_eq!(of_two[3].pixels, [0, 2, 8, 10]);
        assert_eq!(of_two[0].pixels, [5, 7, 13, 15]);
        // Reflected pixels stay in their residue, with a stride of 2; repeated ones of an even size, too.
        for mode in [PaddingMode::Reflect, PaddingMode::Circular] {
            assert_eq!(kinds_of(Window { mode, ..window(3, 2) }, 1).len(), 4, "{mode:?}");
        }
        // Two samples are shown by the same taps, and pixels that no tap shows are of no kind.
        assert_eq!(kinds_of(window(3, 1), 2)[0].pixels, (0..32).collect::<Vec<_>>());
        assert_eq!(kinds_of(Window::new(1, 2), 1), [Kind { taps: vec![0], pixels: vec![0, 2, 8, 10] }]);
    }
}
