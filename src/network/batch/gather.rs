//! Which inputs each output of a sliding window sees, as lists: the same for every sample, and for the way back.

use std::collections::BTreeMap;

use super::super::layer::Window;

/// For every target pixel a list of (tap, source pixel). Targets with the same taps are in one class, so that they share
/// the weights that are read for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Gather {
    /// Number of source pixels.
    pub sources: usize,
    /// Number of target pixels.
    pub targets: usize,
    /// The classes.
    pub classes: Vec<Class>,
}

/// Targets whose lists have the same taps.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// The taps, in the order in which they are added.
    pub taps: Vec<usize>,
    /// The targets.
    pub targets: Vec<usize>,
    /// The source under every tap of every target.
    sources: Vec<usize>,
}

impl Class {
    /// The sources of a target, one for every tap; targets are counted within the class.
    #[inline]
    pub fn sources(&self, target: usize) -> &[usize] {
        &self.sources[target * self.taps.len()..][..self.taps.len()]
    }
}

impl Gather {
    /// The pixels under a window at its places, and the way back: from the pixels to the places that see them.
    pub fn sliding(window: &Window, image: [usize; 2], places: [usize; 2]) -> [Self; 2] {
        let mut edges = Vec::new();
        window.for_each(image, places, |tap, place, pixel| edges.push((tap, place, pixel)));
        let [pixels, places] = [image, places].map(|[height, width]| height * width);
        let back = edges.iter().map(|&(tap, place, pixel)| (tap, pixel, place)).collect();
        [Self::new(pixels, places, edges), Self::new(places, pixels, back)]
    }

    /// One source that is the only target, under one tap.
    pub fn single() -> Self {
        Self::new(1, 1, vec![(0, 0, 0)])
    }

    /// All sources under the taps of one target, and the way back.
    pub fn whole(pixels: usize) -> [Self; 2] {
        let edges =
            |turned: bool| (0..pixels).map(move |pixel| if turned { (pixel, pixel, 0) } else { (pixel, 0, pixel) });
        [Self::new(pixels, 1, edges(false).collect()), Self::new(1, pixels, edges(true).collect())]
    }

    /// Visits every target with its taps and the source under each.
    pub fn for_each_target(&self, mut visit: impl FnMut(usize, &[usize], &[usize])) {
        for class in &self.classes {
            for (index, &target) in class.targets.iter().enumerate() {
                visit(target, &class.taps, class.sources(index));
            }
        }
    }

    /// From edges (tap, target, source).
    fn new(sources: usize, targets: usize, mut edges: Vec<(usize, usize, usize)>) -> Self {
        edges.sort_unstable_by_key(|&(tap, target, source)| (target, tap, source));
        let mut classes = BTreeMap::<Vec<usize>, Class>::new();
        let mut rest = &edges[..];
        for target in 0..targets {
            let (own, after) = rest.split_at(rest.iter().take_while(|edge| edge.1 == target).count());
            rest = after;
            let taps: Vec<usize> = own.iter().map(|edge| edge.0).collect();
            let new = || Class { taps: taps.clone(), targets: Vec::new(), sources: Vec::new() };
            let class = classes.entry(taps.clone()).or_insert_with(new);
            class.targets.push(target);
            class.sources.extend(own.iter().map(|edge| edge.2));
        }
        Self { sources, targets, classes: classes.into_values().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::layer::PaddingMode;
    use super::*;

    #[test]
    fn both_ways_hold_every_edge_of_the_window_once() {
        for mode in [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular] {
            let window = Window { padding: 1, mode, ..Window::new(3, 2) };
            let mut expected = Vec::new();
            window.for_each([5, 4], [3, 2], |tap, place, pixel| expected.push((tap, place, pixel)));
            expected.sort_unstable();
            let [there, back] = Gather::sliding(&window, [5, 4], [3, 2]);
            assert_eq!((there.sources, there.targets, back.sources, back.targets), (20, 6, 6, 20));
            let edges = |gather: &Gather| {
                let mut edges = Vec::new();
                for class in &gather.classes {
                    for (index, &target) in class.targets.iter().enumerate() {
                        let sources = class.taps.iter().zip(class.sources(index));
                        edges.extend(sources.map(|(&tap, &source)| (tap, target, source)));
                    }
                }
                edges
            };
            let (mut there, back) = (edges(&there), edges(&back));
            let mut back: Vec<_> = back.into_iter().map(|(tap, pixel, place)| (tap, place, pixel)).collect();
            there.sort_unstable();
            back.sort_unstable();
            assert_eq!(there, expected);
            assert_eq!(back, expected);
        }
    }

    #[test]
    fn inside_an_image_all_places_are_of_one_class() {
        let window = Window { padding: 1, ..Window::new(3, 1) };
        let [there, back] = Gather::sliding(&window, [6, 6], [6, 6]);
        let largest = |gather: &Gather| gather.classes.iter().map(|class| class.targets.len()).max();
        assert_eq!((there.classes.len(), largest(&there)), (9, Some(16)));
        assert_eq!(largest(&back), Some(16));
        let reflected = Window { mode: PaddingMode::Reflect, ..window };
        assert_eq!(Gather::sliding(&reflected, [6, 6], [6, 6])[0].classes.len(), 1);
    }
}
