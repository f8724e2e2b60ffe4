//! The weights of a given network: arrays in a `.safetensors` or `.npz` file, named as PyTorch's `nn.Sequential` names them,
//! become [`Parameters`].
//!
//! An array is called by its layer's position and its own name, `0.weight` or `2.running_mean`; inside residual blocks by the
//! whole way there, `3.layers.0.weight`. Files that other programs wrote have other names, which [matching](Matching) finds. A file is opened by its headers alone. Its values are read once they are known to
//! have the network's shapes, so that no damaged header asks for more memory than the network needs.

mod matching;
mod memory;
mod npz;
mod safetensors;

pub use matching::{Expected, Matching, expected};
pub use memory::NamedArray;
pub use safetensors::{Array, to_bytes};

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use thiserror::Error;

use super::Real;
use super::architecture::{Architecture, Node};
use super::layer::{Role, Tensor};
use super::parameters::Parameters;
use crate::array::{Element, Layout, unravel};
use crate::nearest::nearest;
use crate::short::short;

/// Types of weights that can be read.
const ALLOWED: &[Element] = &[Element::F16, Element::Bf16, Element::F32, Element::F64];

/// What PyTorch counts beside a normalisation's running statistics; inference does not use it.
const IGNORED: &str = ".num_batches_tracked";

/// Most names that an error lists.
const MOST_NAMES: usize = 100;

/// Why weights cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{message}", if tensor.is_empty() { String::new() } else { format!("{tensor}: ") })]
pub struct WeightsError {
    /// The array at fault; empty where it is the file.
    pub tensor: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}

impl WeightsError {
    fn of_file(message: impl Into<String>) -> Self {
        Self { tensor: String::new(), message: message.into() }
    }

    fn of(tensor: &str, message: impl Into<String>) -> Self {
        Self { tensor: tensor.into(), message: message.into() }
    }
}

/// An array of a file: its layout, and where its bytes are.
#[derive(Debug)]
struct Entry {
    layout: Layout,
    /// Bytes of its values.
    length: u64,
    /// For the format to find it by.
    place: u64,
}

/// How a format gives the bytes of an entry.
trait Format: std::fmt::Debug {
    fn reader<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn std::io::Read + 'a>, String>;
}

/// A file of weights, of which the names, types and shapes are known.
#[derive(Debug)]
pub struct WeightFile {
    entries: BTreeMap<String, Entry>,
    /// The names of the arrays in the file's order.
    order: Vec<String>,
    /// What the file says of itself.
    metadata: HashMap<String, String>,
    format: Box<dyn Format>,
}

impl WeightFile {
    /// Opens a file by its extension, `.safetensors` or `.npz`.
    ///
    /// # Errors
    /// The file is missing or damaged, or has another extension.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let open = match extension.as_deref() {
            Some("safetensors") => safetensors::open,
            Some("npz") => npz::open,
            _ => {
                let message = "must be a file of weights that ends in .safetensors or .npz";
                return Err(WeightsError::of_file(message));
            }
        };
        let is_file = path.metadata().map(|metadata| metadata.is_file());
        match is_file.map_err(|error| WeightsError::of_file(format!("cannot be read: {error}")))? {
            true => open(path),
            // Opening a named pipe would wait forever.
            false => Err(WeightsError::of_file("is not a regular file; must be a file of weights")),
        }
    }

    /// What the file says of itself, by name; nothing where its format has no place for it.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// Whether an array of this name is there.
    pub fn holds(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The network with the biases that the file holds, whatever its layers say.
    ///
    /// # Errors
    /// It has too many parameters then.
    pub fn with_its_biases(&self, architecture: Architecture) -> Result<Architecture, WeightsError> {
        let with = architecture.with_biases(|node| self.holds(&format!("{}.bias", node.arrays)));
        with.map_err(|error| WeightsError::of_file(error.to_string()))
    }

    /// The parameters of a network. A normalisation of which neither scale nor shift is there has scale 1 and shift 0.
    ///
    /// # Errors
    /// An array is missing, unknown, of another shape or type, or holds a value that is not finite in `T` or a variance below
    /// zero.
    pub fn parameters<T: Real>(&mut self, architecture: &Architecture) -> Result<Parameters<T>, WeightsError> {
        let wanted = self.match_with(architecture)?;
        let mut parameters = Parameters::new(architecture);
        for Wanted { name, node, index } in wanted {
            let tensor = &node.tensors[index];
            // It was matched with an entry.
            let entry = &self.entries[&name];
            let fail = |message: String| WeightsError::of(&name, message);
            let numbers = entry.layout.numbers(ALLOWED, entry.length).map_err(fail)?;
            let data = self.format.reader(entry).and_then(|reader| numbers.read(reader)).map_err(fail)?;
            let places = parameters.tensor_mut(node, index).iter_mut().enumerate();
            for ((at, place), value) in places.zip(numbers.values(&data)) {
                *place = T::from_f64(value);
                if let Some(objection) = objection(*place, value, tensor.role) {
                    let index = unravel(at, &tensor.sizes);
                    return Err(fail(format!("has the value {} at index {index:?}; {objection}", short(value))));
                }
            }
        }
        Ok(parameters)
    }

    /// The network's arrays that are to be read, once all names and shapes are known to fit.
    fn match_with<'a>(&self, architecture: &'a Architecture) -> Result<Vec<Wanted<'a>>, WeightsError> {
        let mut wanted = Vec::new();
        for node in architecture.nodes() {
            let name = |tensor: &Tensor| format!("{}.{}", node.arrays, tensor.name);
            let is_affine = |tensor: &Tensor| matches!(tensor.role, Role::Scale | Role::Shift);
            let has_affine = node.tensors.iter().any(|tensor| is_affine(tensor) && self.holds(&name(tensor)));
            for (index, tensor) in node.tensors.iter().enumerate() {
                if is_affine(tensor) && !has_affine {
                    continue;
                }
                wanted.push(Wanted { name: name(tensor), node, index });
            }
        }
        self.check_names(&wanted)?;
        for Wanted { name, node, index } in &wanted {
            let found = &self.entries[name].layout.shape;
            check_shape(found, node, &node.tensors[*index]).map_err(|message| WeightsError::of(name, message))?;
        }
        Ok(wanted)
    }

    /// Refuses arrays that are missing and arrays that the network does not have, all of them in one message.
    fn check_names(&self, wanted: &[Wanted<'_>]) -> Result<(), WeightsError> {
        let names: HashSet<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
        let is_known = |name: &str| names.contains(name) || name.ends_with(IGNORED);
        let unused: Vec<&str> = self.entries.keys().map(String::as_str).filter(|name| !is_known(name)).collect();
        let missing: Vec<&Wanted<'_>> = wanted.iter().filter(|wanted| !self.holds(&wanted.name)).collect();
        let also = |what: &str, names: &[&str]| match names {
            [] => String::new(),
            names => format!("; {what}: {}", list(names)),
        };
        match (&missing[..], &unused[..]) {
            ([], []) => Ok(()),
            ([first, others @ ..], _) => {
                let others: Vec<&str> = others.iter().map(|wanted| wanted.name.as_str()).collect();
                let held: Vec<&str> = self.entries.keys().map(String::as_str).collect();
                let message = format!(
                    "is missing; layer {} ({}) needs it in shape {:?}, and the file holds {}{}{}",
                    first.node.position,
                    first.node.layer.name(),
                    first.node.tensors[first.index].sizes,
                    if held.is_empty() { "nothing".into() } else { list(&held) },
                    also("also missing", &others),
                    also("of no use here", &unused),
                );
                Err(WeightsError::of(&first.name, message))
            }
            ([], [first, others @ ..]) => {
                let known: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
                let hint = nearest(first, known.iter().copied());
                let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
                let others = also("also of no use", others);
                let message = format!("is no parameter of this network{hint}{others} (known: {})", list(&known));
                Err(WeightsError::of(first, message))
            }
        }
    }
}

/// An array of the network and where it belongs.
struct Wanted<'a> {
    name: String,
    node: &'a Node,
    index: usize,
}

fn list(names: &[&str]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    let more = names.len().saturating_sub(MOST_NAMES);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Names both shapes, and says whether another order of the axes would fit.
fn check_shape(found: &[usize], node: &Node, tensor: &Tensor) -> Result<(), String> {
    let wanted = &tensor.sizes;
    if found == wanted {
        return Ok(());
    }
    let sorted = |sizes: &[usize]| {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes
    };
    let axes = if wanted.len() == 2 { "[outputs, inputs]" } else { "[outputs, inputs, height, width]" };
    let hint = if found.iter().rev().eq(wanted) {
        format!(": its transpose would fit (weights are {axes}, as PyTorch has them)")
    } else if sorted(found) == sorted(wanted) {
        format!(": its axes in another order would fit (weights are {axes}, as PyTorch has them)")
    } else {
        String::new()
    };
    Err(format!(
        "has shape {found:?} where layer {} ({}) on an input of shape {} needs {wanted:?}{hint}",
        node.position,
        node.layer.name(),
        node.input
    ))
}

/// What is wrong with a value, if something is.
fn objection<T: Real>(value: T, stored: f64, role: Role) -> Option<String> {
    if !stored.is_finite() {
        Some("must be finite".into())
    } else if !value.is_finite() {
        Some(format!("must lie within {}", std::any::type_name::<T>()))
    } else if role == Role::RunningVariance && stored < 0.0 {
        Some("a variance must not be below 0".into())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BatchNorm, Dense, Relu, Shape, Statistics};
    use super::*;
    use ::safetensors::tensor::{Dtype, TensorView, serialize};
    use ndarray::{Array1, Array2, ShapeBuilder};
    use ndarray_npy::NpzWriter;
    use proptest::prelude::*;
    use std::fs;
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn network() -> Architecture {
        let norm = BatchNorm { statistics: Statistics::Running, epsilon: 1e-5 };
        let layers = vec![Dense::new(2).into(), norm.into(), Relu.into(), Dense::new(1).into()];
        Architecture::new(Shape::new([3]).unwrap(), layers).unwrap()
    }

    type Arrays = Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// Arrays that fit the network, without biases and without scale and shift.
    fn arrays() -> Arrays {
        vec![
            ("0.weight", Dtype::F32, vec![2, 3], bytes(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
            ("1.running_mean", Dtype::BF16, vec![2], vec![0x80, 0x3f, 0x00, 0x40]),
            ("1.running_var", Dtype::F16, vec![2], vec![0x00, 0x3c, 0x00, 0x38]),
            ("1.num_batches_tracked", Dtype::I64, vec![], vec![0; 8]),
            ("3.weight", Dtype::F64, vec![1, 2], [0.1f64, -1.0].iter().flat_map(|value| value.to_le_bytes()).collect()),
        ]
    }

    fn file_of(name: &str, contents: &[u8]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, contents).unwrap();
        (folder, path)
    }

    fn safetensors_of(arrays: &Arrays) -> Vec<u8> {
        let views = arrays
            .iter()
            .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        serialize(views, None).unwrap()
    }

    fn read(arrays: &Arrays) -> Result<Vec<Vec<f64>>, WeightsError> {
        let (_folder, path) = file_of("w.safetensors", &safetensors_of(arrays));
        let mut file = WeightFile::open(&path)?;
        let network = file.with_its_biases(network())?;
        let parameters = file.parameters::<f64>(&network)?;
        Ok(network.nodes().iter().map(|node| parameters.of(node).to_vec()).collect())
    }

    #[test]
    fn arrays_of_every_float_type_find_their_places() {
        let parameters = read(&arrays()).unwrap();
        assert_eq!(parameters[0], [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(parameters[1], [1.0, 1.0, 0.0, 0.0, 1.0, 2.0, 1.0, 0.5], "scale 1 and shift 0 where none are there");
        assert_eq!(parameters[3], [0.1, -1.0]);
    }

    #[test]
    fn biases_in_the_file_are_used_and_others_are_missed() {
        let mut biased = arrays();
        biased.push(("3.bias", Dtype::F32, vec![1], bytes(&[7.0])));
        assert_eq!(read(&biased).unwrap()[3], [0.1, -1.0, 7.0]);
        let (_folder, path) = file_of("w.safetensors", &safetensors_of(&arrays()));
        let asked = network().with_biases(|_| true).unwrap();
        let missed = WeightFile::open(&path).unwrap().parameters::<f32>(&asked).unwrap_err();
        assert!(
            missed.to_string().starts_with("0.bias: is missing; layer 0 (dense) needs it in shape [2]"),
            "{missed}"
        );
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let changed = |name: &str, dtype: Dtype, shape: &[usize], data: Vec<u8>| {
            let mut arrays = arrays();
            let array = arrays.iter_mut().find(|array| array.0 == name).unwrap();
            (array.1, array.2, array.3) = (dtype, shape.to_vec(), data);
            read(&arrays).unwrap_err().to_string()
        };
        let six = bytes(&[0.0; 6]);
        for (message, parts) in [
            (changed("0.weight", Dtype::F32, &[3, 2], six.clone()), ["[3, 2]", "[2, 3]: its transpose would fit"]),
            (changed("0.weight", Dtype::F32, &[6], six.clone()), ["[6]", "[2, 3]"]),
            (changed("0.weight", Dtype::I32, &[2, 3], six), ["type I32", "expected f16, bf16, f32, f64"]),
            (changed("3.weight", Dtype::F32, &[1, 2], bytes(&[0.0, f32::NAN])), ["NaN at index [0, 1]", "finite"]),
            (changed("1.running_var", Dtype::F32, &[2], bytes(&[1.0, -1.0])), ["-1 at index [1]", "variance"]),
        ] {
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
        let without = |name: &str| arrays().into_iter().filter(|array| array.0 != name).collect::<Arrays>();
        assert!(read(&without("1.running_mean")).unwrap_err().to_string().contains("1.running_mean: is missing"));
        for (name, hint) in [("0.wieght", "`0.weight`"), ("1.weight", "1.bias: is missing")] {
            let mut more = arrays();
            more.push((name, Dtype::F32, vec![2], bytes(&[1.0, 1.0])));
            let refused = read(&more).unwrap_err().to_string();
            assert!(refused.contains(hint), "{refused}");
        }
    }

    #[test]
    fn doubles_beyond_single_precision_are_refused_for_it_alone() {
        let mut arrays = arrays();
        arrays[4].3 = [1e300f64, 1.0].iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(read(&arrays).is_ok());
        let (_folder, path) = file_of("w.safetensors", &safetensors_of(&arrays));
        let refused = WeightFile::open(&path).unwrap().parameters::<f32>(&network()).unwrap_err();
        assert!(refused.message.contains("must lie within f32"), "{refused}");
    }

    fn npz(fortran: bool) -> (TempDir, PathBuf) {
        let (folder, path) = file_of("w.npz", b"");
        let mut archive = NpzWriter::new_compressed(fs::File::create(&path).unwrap());
        let weights = Array2::from_shape_fn((2, 3).set_f(fortran), |(row, column)| (3 * row + column + 1) as f32);
        archive.add_array("0.weight", &weights).unwrap();
        archive.add_array("1.running_mean", &Array1::from(vec![1.0, 2.0])).unwrap();
        archive.add_array("1.running_var", &Array1::from(vec![1.0f32, 0.5])).unwrap();
        archive.add_array("3.weight", &Array2::from(vec![[0.1, -1.0]])).unwrap();
        archive.finish().unwrap();
        (folder, path)
    }

    #[test]
    fn archives_hold_the_same_network_in_either_order() {
        for fortran in [false, true] {
            let (_folder, path) = npz(fortran);
            let parameters = WeightFile::open(&path).unwrap().parameters::<f64>(&network()).unwrap();
            let network = network();
            let read: Vec<&[f64]> = network.nodes().iter().map(|node| parameters.of(node)).collect();
            assert_eq!(read.concat(), super::tests::read(&arrays()).unwrap().concat());
        }
    }

    /// The same array again, or the same key again inside one: a parser that keeps the last would see nothing.
    #[test]
    fn a_key_that_stands_twice_in_a_header_is_refused() {
        let sound = safetensors_of(&arrays());
        let (header, data) = sound[8..].split_at(u64::from_le_bytes(sound[..8].try_into().unwrap()) as usize);
        let header = std::str::from_utf8(header).unwrap().trim_end();
        let parsed: serde_json::Value = serde_json::from_str(header).unwrap();
        let again = format!(",\"0.weight\":{}}}", parsed["0.weight"]);
        let open = |header: &str| {
            let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
            let (_folder, path) = file_of("w.safetensors", &bytes);
            WeightFile::open(&path).map(|_| ())
        };
        assert_eq!(open(header), Ok(()));
        let inner = "{\"__metadata__\":{\"by\":\"a\",\"by\":\"b\"},";
        for (header, key) in
            [(format!("{}{again}", &header[..header.len() - 1]), "0.weight"), (header.replacen('{', inner, 1), "by")]
        {
            let refused = open(&header).unwrap_err();
            assert!(refused.message.contains(&format!("{key} stands twice")), "{refused}");
        }
    }

    #[test]
    fn damaged_files_are_refused() {
        let sound = safetensors_of(&arrays());
        let mut absurd = sound.clone();
        absurd[..8].copy_from_slice(&(1u64 << 60).to_le_bytes());
        for (name, contents, part) in [
            ("w.safetensors", &sound[..sound.len() - 1], "cut short or damaged"),
            ("w.safetensors", &sound[..30], "claims a header"),
            ("w.safetensors", &sound[..5], "5 bytes"),
            ("w.safetensors", &absurd, "claims a header of 1152921504606846976 bytes"),
            ("w.npz", b"PK\x03\x04", "expected a .npz file"),
            ("w.pt", &sound, "ends in .safetensors or .npz"),
        ] {
            let (_folder, path) = file_of(name, contents);
            let refused = WeightFile::open(&path).unwrap_err();
            assert!(refused.message.contains(part), "{refused}");
        }
        let (folder, _) = file_of("w.npz", b"");
        let named = folder.path().join("folder.npz");
        fs::create_dir(&named).unwrap();
        assert!(WeightFile::open(&named).unwrap_err().message.contains("not a regular file"));
    }

    proptest! {
        #[test]
        fn no_damage_panics(
            zipped: bool, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let (name, mut contents) = if zipped {
                let (_folder, path) = npz(false);
                ("w.npz", fs::read(path).unwrap())
            } else {
                ("w.safetensors", safetensors_of(&arrays()))
            };
            for (at, byte) in changes {
                let at = at.index(contents.len());
                contents[at] = byte;
            }
            let (_folder, path) = file_of(name, &contents);
            if let Ok(mut file) = WeightFile::open(&path) {
                let _ = file.parameters::<f64>(&network());
            }
        }
    }
}
