//! Weights in `.safetensors` files: a length, a header in JSON, and the arrays' bytes, in C order and little-endian.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use safetensors::tensor::Metadata;
use safetensors::{Dtype, View};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::matching::natural;
use super::{Entry, Format, WeightFile, WeightsError};
use crate::array::{Element, Layout};
use crate::network::{Architecture, Parameters};

/// Longest header that the format allows.
const MAX_HEADER_BYTES: u64 = 100_000_000;

const EXPECTED: &str = "expected a .safetensors file";

/// The bytes of a file that holds the parameters of a network, under the names by which they are read, and says of them what `metadata`
/// says.
///
/// # Errors
/// In words, why they cannot be written: a name is too long for the format.
pub fn to_bytes(
    architecture: &Architecture,
    parameters: &Parameters<f32>,
    metadata: Option<HashMap<String, String>>,
) -> Result<Vec<u8>, String> {
    let nodes = architecture.nodes().iter();
    let arrays = nodes.flat_map(|node| {
        node.tensors.iter().enumerate().map(move |(index, tensor)| {
            let values = parameters.tensor(node, index).iter().flat_map(|value| value.to_le_bytes());
            let array = Array { shape: tensor.sizes.clone(), bytes: values.collect() };
            (format!("{}.{}", node.position, tensor.name), array)
        })
    });
    ::safetensors::serialize(arrays.collect::<Vec<_>>(), metadata).map_err(|error| error.to_string())
}

/// One array in single precision.
pub struct Array {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values, little-endian.
    pub bytes: Vec<u8>,
}

impl View for Array {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        (&self.bytes).into()
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Opens a file and reads its header.
pub fn open(path: &Path) -> Result<WeightFile, WeightsError> {
    let fail = |message: String| WeightsError::of_file(format!("{message}; {EXPECTED}"));
    let failed = |error: std::io::Error| fail(format!("cannot be read ({error})"));
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    if length < 8 {
        return Err(fail(format!("has {length} bytes, too few for the length of a header")));
    }
    let mut start = [0; 8];
    file.read_exact(&mut start).map_err(failed)?;
    let header_length = u64::from_le_bytes(start);
    if header_length > MAX_HEADER_BYTES || header_length > length - 8 {
        let message =
            format!("claims a header of {header_length} bytes in a file of {length}; it is cut short or damaged");
        return Err(fail(message));
    }
    let mut header = Vec::new();
    (&file).take(header_length).read_to_end(&mut header).map_err(failed)?;
    let damaged = |error: serde_json::Error| fail(format!("has a damaged header ({error})"));
    serde_json::from_slice::<Unambiguous>(&header).map_err(damaged)?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(damaged)?;
    let data = length - 8 - header_length;
    if metadata.data_len() as u64 != data {
        let promised = metadata.data_len();
        return Err(fail(format!(
            "has {data} bytes of data where its header needs {promised}; it is cut short or damaged"
        )));
    }
    let entry = |(name, info): (String, &safetensors::tensor::TensorInfo)| {
        let (from, to) = info.data_offsets;
        let element = element(info.dtype);
        let layout = Layout {
            shape: info.shape.clone(),
            type_name: element.map_or_else(|| format!("{:?}", info.dtype), |element| element.to_string()),
            element,
            big_endian: false,
            fortran: false,
        };
        // The header was checked: offsets follow each other.
        (name, Entry { layout, length: (to - from) as u64, place: 8 + header_length + from as u64 })
    };
    let entries: BTreeMap<String, Entry> = metadata.tensors().into_iter().map(entry).collect();
    // The format sorts arrays by type and name, which says nothing of the layers' order.
    let mut order: Vec<String> = entries.keys().cloned().collect();
    order.sort_by(|one, other| natural(one, other));
    let metadata = metadata.metadata().clone().unwrap_or_default();
    Ok(WeightFile { entries, order, metadata, format: Box::new(Safetensors { file }) })
}

/// Any value in JSON in which no object has a key twice. Of two arrays of one name a parser would keep either, and networks whose
/// weights are another's would be judged.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UnambiguousVisitor)
    }
}

struct UnambiguousVisitor;

impl<'de> Visitor<'de> for UnambiguousVisitor {
    type Value = Unambiguous;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value in JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_unit<E: Error>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Unambiguous, A::Error> {
        while values.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Unambiguous, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, _)) = entries.next_entry::<String, Unambiguous>()? {
            if let Some(key) = keys.replace(key) {
                return Err(A::Error::custom(format!("{key} stands twice; must stand once")));
            }
        }
        Ok(Unambiguous)
    }
}

fn element(dtype: Dtype) -> Option<Element> {
    Some(match dtype {
        Dtype::F16 => Element::F16,
        Dtype::BF16 => Element::Bf16,
        Dtype::F32 => Element::F32,
        Dtype::F64 => Element::F64,
        _ => return None,
    })
}

#[derive(Debug)]
struct Safetensors {
    file: File,
}

impl Format for Safetensors {
    fn reader<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, String> {
        let sought = self.file.seek(SeekFrom::Start(entry.place));
        sought.map_err(|error| format!("cannot be read ({error})"))?;
        Ok(Box::new(&self.file))
    }
}
