//! The shape of one sample or of one layer's output, without the batch.

use std::fmt;

/// Sizes of an array, outermost first: `[d]` for a vector, `[channels, height, width]` for an image.
///
/// A shape that exists has at least one axis, no axis of size zero, and a product that fits into memory's address range.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape {
    sizes: Vec<usize>,
    len: usize,
}

impl Shape {
    /// Checks the sizes. `None` if there are none, if one is zero, or if their product exceeds 2⁵³.
    pub fn new(sizes: impl Into<Vec<usize>>) -> Option<Self> {
        let sizes = sizes.into();
        let product = sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        match product {
            Some(len) if len > 0 && len as u64 <= 1 << 53 && !sizes.is_empty() => Some(Self { sizes, len }),
            _ => None,
        }
    }

    /// The sizes, outermost first.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Number of elements, the product of the sizes; never zero.
    #[expect(clippy::len_without_is_empty, reason = "a shape is never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The length of a vector; `None` for arrays of more axes.
    pub fn as_vector(&self) -> Option<usize> {
        (self.sizes.len() == 1).then_some(self.len)
    }

    /// The vector of the same elements.
    pub fn flattened(&self) -> Self {
        Self { sizes: vec![self.len], len: self.len }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.sizes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_zero_and_overflowing_shapes_do_not_exist() {
        assert!(Shape::new([]).is_none());
        assert!(Shape::new([3, 0, 32]).is_none());
        assert!(Shape::new([usize::MAX, 2]).is_none());
        assert_eq!(Shape::new([3, 32, 32]).unwrap().len(), 3072);
        assert_eq!(Shape::new([3, 32, 32]).unwrap().to_string(), "[3, 32, 32]");
    }
}
