//! Which arrays of a file belong to which layer: by names, whatever stands before all of them, or by their order and shapes.

use std::cmp::Ordering;
use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::{Architecture, IGNORED, Node, Tensor, WeightFile, WeightsError, list};
use crate::network::layer::{LayerRule, Role};

/// How arrays of a file find their layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// By name: `NAME.weight` of the layer whose [`Node::arrays`] is NAME. A beginning that all names of the file share, such as
    /// `module.` or `_orig_mod.`, is left out where the names fit without it.
    #[default]
    Names,
    /// By order: each layer takes the first arrays left that have its shapes. Arrays are in the order of a `.npz` archive; those of a
    /// `.safetensors` file, which is sorted by type and name, in the order of their names with numbers by value.
    Order,
}

/// An array that a network expects in a file of weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of the layer that it belongs to.
    pub layer: &'static str,
    /// Whether the file may do without: a bias that the layer does not ask for, or scale and shift of a normalisation.
    pub optional: bool,
}

/// The arrays that a network expects, in the order of its layers.
pub fn expected(architecture: &Architecture) -> Vec<Expected> {
    let arrays = |node: &Node| {
        let array = |tensor: Tensor| Expected {
            name: format!("{}.{}", node.arrays, tensor.name),
            layer: node.layer.name(),
            optional: !is_required(node, &tensor),
            shape: tensor.sizes,
        };
        possible(node).into_iter().map(array).collect::<Vec<_>>()
    };
    architecture.nodes().iter().flat_map(arrays).collect()
}

/// The arrays that a layer can have.
fn possible(node: &Node) -> Vec<Tensor> {
    let mut layer = node.layer.clone();
    layer.add_bias();
    layer.tensors(&node.input)
}

fn is_required(node: &Node, tensor: &Tensor) -> bool {
    match tensor.role {
        Role::Bias => node.has_bias(),
        Role::Scale | Role::Shift => false,
        _ => true,
    }
}

impl WeightFile {
    /// The network with the names of its arrays in this file, and with the biases that the file holds, whatever its layers say.
    ///
    /// # Errors
    /// Two layers have one name; by order: arrays are left for a layer, or layers for an array; the network has too many parameters
    /// with its biases.
    pub fn matched(&self, architecture: Architecture, matching: Matching) -> Result<Architecture, WeightsError> {
        let mut names = BTreeSet::new();
        for node in architecture.nodes().iter().filter(|node| !node.tensors.is_empty()) {
            if !names.insert(&node.arrays) {
                let message = format!(
                    "names the arrays of two layers, and of layer {} ({}) again: each must have its own",
                    node.position,
                    node.layer.name()
                );
                return Err(WeightsError::of(&node.arrays, message));
            }
        }
        let names = match matching {
            Matching::Names => {
                let prefix = self.prefix(&architecture);
                architecture.nodes().iter().map(|node| format!("{prefix}{}", node.arrays)).collect()
            }
            Matching::Order => self.in_order(&architecture)?,
        };
        self.with_its_biases(architecture.with_arrays(names))
    }

    /// What all names of the file begin with and the network's do not: the shortest beginning, to a dot, without which the file holds
    /// every array that is required; nothing where none is.
    fn prefix(&self, architecture: &Architecture) -> String {
        let required: Vec<String> =
            expected(architecture).into_iter().filter(|array| !array.optional).map(|array| array.name).collect();
        let Some(first) = self.entries.keys().next() else { return String::new() };
        let ends = first.match_indices('.').map(|(dot, _)| &first[..=dot]);
        let shared = ends.take_while(|prefix| self.entries.keys().all(|name| name.starts_with(prefix)));
        let fits = |prefix: &&str| required.iter().all(|name| self.holds(&format!("{prefix}{name}")));
        std::iter::once("").chain(shared).find(fits).unwrap_or_default().to_owned()
    }

    /// For each node the name of the first arrays that no node before has taken and that have its shapes; its own name for a node
    /// without parameters.
    fn in_order(&self, architecture: &Architecture) -> Result<Vec<String>, WeightsError> {
        let mut left = self.groups();
        let name = |node: &Node| {
            if node.tensors.is_empty() {
                return Ok(node.arrays.clone());
            }
            let tensors = possible(node);
            let Some(at) = left.iter().position(|group| group.fits(self, node, &tensors)) else {
                let required = tensors.iter().filter(|tensor| is_required(node, tensor));
                let shapes: Vec<String> =
                    required.map(|tensor| format!("{} {:?}", tensor.name, tensor.sizes)).collect();
                let message = format!(
                    "layer {} ({}) needs {}, and no arrays left fit (left: {})",
                    node.position,
                    node.layer.name(),
                    if shapes.is_empty() { "its scale and shift".into() } else { shapes.join(", ") },
                    listed(&left)
                );
                return Err(WeightsError::of_file(message));
            };
            Ok(left.remove(at).module)
        };
        let names = architecture.nodes().iter().map(name).collect::<Result<_, _>>()?;
        if left.is_empty() {
            Ok(names)
        } else {
            Err(WeightsError::of_file(format!("holds arrays that no layer of this network takes: {}", listed(&left))))
        }
    }

    /// The file's arrays by what stands before the last dot of their names, in order.
    fn groups(&self) -> Vec<Group> {
        let (mut groups, mut places) = (Vec::<Group>::new(), HashMap::new());
        for name in self.order.iter().filter(|name| !name.ends_with(IGNORED)) {
            let (module, array) = name.rsplit_once('.').unwrap_or(("", name));
            let place = *places.entry(module).or_insert_with(|| {
                groups.push(Group { module: module.to_owned(), arrays: Vec::new() });
                groups.len() - 1
            });
            groups[place].arrays.push(array.to_owned());
        }
        groups
    }
}

/// Arrays of one layer in a file.
struct Group {
    module: String,
    arrays: Vec<String>,
}

impl Group {
    /// Whether these are arrays of the node: all that it requires, none that it cannot have, each in its shape.
    fn fits(&self, file: &WeightFile, node: &Node, tensors: &[Tensor]) -> bool {
        let shape = |array: &str| &file.entries[&format!("{}.{array}", self.module)].layout.shape;
        let is_one =
            |array: &String| tensors.iter().any(|tensor| tensor.name == array && tensor.sizes == *shape(array));
        let is_there =
            |tensor: &Tensor| !is_required(node, tensor) || self.arrays.iter().any(|name| name == tensor.name);
        !self.module.is_empty() && self.arrays.iter().all(is_one) && tensors.iter().all(is_there)
    }
}

fn listed(groups: &[Group]) -> String {
    let names: Vec<String> =
        groups.iter().flat_map(|group| group.arrays.iter().map(|array| join(&group.module, array))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if names.is_empty() { "none".into() } else { list(&names) }
}

fn join(module: &str, array: &str) -> String {
    if module.is_empty() { array.into() } else { format!("{module}.{array}") }
}

/// The order of names in which numbers count by their value: `layers.2` before `layers.10`.
pub(super) fn natural(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let ((mine, my_rest), (theirs, their_rest)) = (split_chunk(one), split_chunk(other));
        let by_value = match (mine.parse::<u128>(), theirs.parse::<u128>()) {
            (Ok(mine), Ok(theirs)) => mine.cmp(&theirs),
            _ => Ordering::Equal,
        };
        let order = by_value.then_with(|| mine.cmp(theirs));
        if order != Ordering::Equal || mine.is_empty() {
            return order;
        }
        (one, other) = (my_rest, their_rest);
    }
}

/// The digits or the other characters that a text begins with, and the rest.
fn split_chunk(text: &str) -> (&str, &str) {
    let is_digit = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text.find(|character: char| character.is_ascii_digit() != is_digit).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::super::super::{BatchNorm, Conv, Dense, GlobalAveragePool, Part, Relu, Shape, Statistics, Window};
    use super::*;
    use ::safetensors::tensor::{Dtype, TensorView, serialize};
    use ndarray::{ArrayD, IxDyn};
    use ndarray_npy::NpzWriter;
    use std::fs;

    fn conv(channels: usize, kernel: usize, stride: usize) -> Part {
        let window = Window { padding: kernel / 2, ..Window::new(kernel, stride) };
        Conv { channels, window, bias: false }.into()
    }

    /// A stem, a residual block that halves the image, and a classifier with a bias in its file.
    fn network() -> Architecture {
        let norm = || -> Part { BatchNorm { statistics: Statistics::Running, epsilon: 1e-5 }.into() };
        let branch = vec![conv(4, 3, 2), norm(), Relu.into(), conv(4, 3, 1), norm()];
        let block = Part::Residual { branch, projection: vec![conv(4, 1, 2), norm()] };
        let parts = vec![conv(4, 3, 1), norm(), block, GlobalAveragePool.into(), Dense::new(2).into()];
        Architecture::from_parts(Shape::new([4, 8, 8]).unwrap(), parts).unwrap()
    }

    /// The same arrays under the names that torchvision gives such layers, in the order in which it makes them.
    const MODULES: [(&str, &str); 9] = [
        ("0", "conv1"),
        ("1", "bn1"),
        ("2.layers.0", "layer1.0.conv1"),
        ("2.layers.1", "layer1.0.bn1"),
        ("2.layers.3", "layer1.0.conv2"),
        ("2.layers.4", "layer1.0.bn2"),
        ("2.projection.0", "layer1.0.downsample.0"),
        ("2.projection.1", "layer1.0.downsample.1"),
        ("4", "fc"),
    ];

    /// Every array of the network, and the number of batches that PyTorch counts, under other names; values tell them apart.
    fn arrays(rename: impl Fn(&str) -> String) -> Vec<(String, Vec<usize>, f32)> {
        let all = expected(&network()).into_iter().filter(|array| array.layer != "conv" || !array.optional);
        let renamed = all.enumerate().map(|(index, array)| {
            let (module, name) = array.name.rsplit_once('.').unwrap();
            (format!("{}.{name}", rename(module)), array.shape, index as f32 + 1.0)
        });
        let mut arrays: Vec<_> = renamed.collect();
        arrays.push((format!("{}.num_batches_tracked", rename("1")), vec![1], 0.0));
        arrays
    }

    fn torch_name(module: &str) -> String {
        let found = MODULES.iter().find(|(ours, _)| *ours == module);
        found.map_or(module.to_owned(), |(_, theirs)| (*theirs).to_owned())
    }

    fn open(arrays: &[(String, Vec<usize>, f32)], extension: &str) -> WeightFile {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("w.{extension}"));
        if extension == "npz" {
            let mut archive = NpzWriter::new(fs::File::create(&path).unwrap());
            for (name, shape, value) in arrays {
                archive.add_array(name.as_str(), &ArrayD::from_elem(IxDyn(shape), *value)).unwrap();
            }
            archive.finish().unwrap();
        } else {
            let bytes = |shape: &[usize], value: f32| value.to_le_bytes().repeat(shape.iter().product());
            let held: Vec<_> = arrays.iter().map(|(_, shape, value)| bytes(shape, *value)).collect();
            let views = arrays.iter().zip(&held).map(|((name, shape, _), bytes)| {
                (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
            });
            fs::write(&path, serialize(views, None).unwrap()).unwrap();
        }
        WeightFile::open(&path).unwrap()
    }

    /// The parameters of the network, found so.
    fn found(mut file: WeightFile, network: Architecture, matching: Matching) -> Result<Vec<Vec<f64>>, WeightsError> {
        let network = file.matched(network, matching)?;
        let parameters = file.parameters::<f64>(&network)?;
        Ok(network.nodes().iter().map(|node| parameters.of(node).to_vec()).collect())
    }

    #[test]
    fn arrays_are_found_behind_what_all_names_begin_with() {
        let plain = found(open(&arrays(str::to_owned), "safetensors"), network(), Matching::Names).unwrap();
        assert_eq!(plain.last().unwrap().len(), 2 * 4 + 2, "the bias of the file is used");
        for prefix in ["module.", "_orig_mod.module.", "0."] {
            let arrays = arrays(|module| format!("{prefix}{module}"));
            for extension in ["npz", "safetensors"] {
                assert_eq!(found(open(&arrays, extension), network(), Matching::Names).unwrap(), plain, "{prefix}");
            }
        }
        // One name that does not begin so, and none does.
        let mut mixed = arrays(|module| format!("module.{module}"));
        mixed.push(("other.weight".into(), vec![1], 0.0));
        let refused = found(open(&mixed, "npz"), network(), Matching::Names).unwrap_err();
        assert_eq!(refused.tensor, "0.weight");
        assert!(refused.message.contains("also missing: ") && refused.message.contains("4.weight"), "{refused}");
        assert!(refused.message.contains("of no use here: ") && refused.message.contains("other.weight"), "{refused}");
    }

    #[test]
    fn arrays_are_found_under_names_of_their_own() {
        let plain = found(open(&arrays(str::to_owned), "npz"), network(), Matching::Names).unwrap();
        let named = || {
            let network = network();
            let names: Vec<String> = network.nodes().iter().map(|node| torch_name(&node.position)).collect();
            network.with_arrays(names)
        };
        assert_eq!(found(open(&arrays(torch_name), "npz"), named(), Matching::Names).unwrap(), plain);
        let prefixed = arrays(|module| format!("model.{}", torch_name(module)));
        assert_eq!(found(open(&prefixed, "npz"), named(), Matching::Names).unwrap(), plain);
        let twice = network().with_arrays(vec!["conv1".to_owned(); 20]);
        let refused = found(open(&arrays(torch_name), "npz"), twice, Matching::Names).unwrap_err();
        assert!(refused.message.contains("two layers"), "{refused}");
    }

    #[test]
    fn arrays_are_found_by_their_order() {
        let plain = found(open(&arrays(str::to_owned), "npz"), network(), Matching::Names).unwrap();
        for extension in ["npz", "safetensors"] {
            let file = open(&arrays(torch_name), extension);
            assert_eq!(found(file, network(), Matching::Order).unwrap(), plain, "{extension}");
        }
        let mut more = arrays(torch_name);
        more.push(("head.weight".into(), vec![7, 7], 0.0));
        let refused = found(open(&more, "npz"), network(), Matching::Order).unwrap_err();
        assert!(refused.message.contains("no layer of this network takes: head.weight"), "{refused}");
        let fewer: Vec<_> = arrays(torch_name).into_iter().filter(|array| !array.0.starts_with("fc")).collect();
        let refused = found(open(&fewer, "npz"), network(), Matching::Order).unwrap_err();
        assert!(refused.message.contains("layer 4 (dense) needs weight [2, 4]"), "{refused}");
    }

    #[test]
    fn numbers_in_names_count_by_their_value() {
        let mut names = ["b.10.w", "b.9.w", "a.2", "b.9", "a", "a.02", "b.9.v"];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(names, ["a", "a.02", "a.2", "b.9", "b.9.v", "b.9.w", "b.10.w"]);
    }
}
