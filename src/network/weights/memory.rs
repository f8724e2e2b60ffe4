//! Weights that a program holds: arrays by name, as if a file held them.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use super::{Entry, Format, WeightFile, WeightsError};
use crate::array::{Element, Layout, checked_product};

/// An array and its name.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    /// Its name, as in a file.
    pub name: String,
    /// Its sizes, outermost first.
    pub shape: Vec<usize>,
    /// Its values in C order.
    pub values: Vec<f64>,
}

impl WeightFile {
    /// The arrays of a program in place of a file, in this order.
    ///
    /// # Errors
    /// Two have one name, or one has not as many values as its shape says.
    pub fn of_arrays(arrays: Vec<NamedArray>) -> Result<Self, WeightsError> {
        let (mut entries, mut order, mut bytes) = (BTreeMap::new(), Vec::new(), Vec::new());
        for NamedArray { name, shape, values } in arrays {
            if checked_product(&shape) != Some(values.len()) {
                let message = format!("has {} values; its shape {shape:?} needs another number", values.len());
                return Err(WeightsError::of(&name, message));
            }
            let layout = Layout {
                shape,
                type_name: Element::F64.to_string(),
                element: Some(Element::F64),
                big_endian: false,
                fortran: false,
            };
            let entry = Entry { layout, length: (values.len() * size_of::<f64>()) as u64, place: bytes.len() as u64 };
            if entries.insert(name.clone(), entry).is_some() {
                return Err(WeightsError::of(&name, "is there twice; must be there once"));
            }
            order.push(name);
            bytes.push(values.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        Ok(Self { entries, order, metadata: HashMap::new(), format: Box::new(Memory { bytes }) })
    }
}

/// The bytes of each array.
#[derive(Debug)]
struct Memory {
    bytes: Vec<Vec<u8>>,
}

impl Format for Memory {
    fn reader<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, String> {
        Ok(Box::new(&self.bytes[entry.place as usize][..]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::{Architecture, Dense, Shape};
    use super::*;

    #[test]
    fn arrays_of_a_program_are_read_as_those_of_a_file() {
        let network = Architecture::new(Shape::new([2]).unwrap(), vec![Dense::new(1).into()]).unwrap();
        let array = |name: &str, values: Vec<f64>| NamedArray { name: name.into(), shape: vec![1, 2], values };
        let mut file = WeightFile::of_arrays(vec![array("0.weight", vec![1.5, -2.0])]).unwrap();
        let parameters = file.parameters::<f64>(&network).unwrap();
        assert_eq!(parameters.of(&network.nodes()[0]), [1.5, -2.0]);
        let short = WeightFile::of_arrays(vec![array("0.weight", vec![1.5])]).unwrap_err();
        assert_eq!(short.to_string(), "0.weight: has 1 values; its shape [1, 2] needs another number");
        let twice = vec![array("0.weight", vec![1.0, 2.0]), array("0.weight", vec![1.0, 2.0])];
        assert!(WeightFile::of_arrays(twice).unwrap_err().message.contains("twice"));
    }
}
