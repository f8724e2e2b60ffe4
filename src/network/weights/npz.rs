//! Weights in `.npz` files: a zip archive of `.npy` arrays, as `numpy.savez` and `numpy.savez_compressed` write it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::{Entry, Format, WeightFile, WeightsError};
use crate::array::read_npy_header;

const EXPECTED: &str = "expected a .npz file";

/// Opens an archive and reads the headers of its arrays.
pub fn open(path: &Path) -> Result<WeightFile, WeightsError> {
    let fail = |message: String| WeightsError::of_file(format!("{message}; {EXPECTED}"));
    let file = File::open(path).map_err(|error| fail(format!("cannot be read ({error})")))?;
    let mut archive =
        ZipArchive::new(BufReader::new(file)).map_err(|error| fail(format!("cannot be read ({error})")))?;
    let mut entries = BTreeMap::new();
    let mut order = Vec::new();
    for index in 0..archive.len() {
        let (name, entry) = read_entry(&mut archive, index)?;
        if entries.contains_key(&name) {
            return Err(WeightsError::of(&name, "stands in the archive twice; must stand once"));
        }
        order.push(name.clone());
        entries.insert(name, entry);
    }
    Ok(WeightFile { entries, order, metadata: HashMap::new(), format: Box::new(Npz { archive }) })
}

type Archive = ZipArchive<BufReader<File>>;

fn read_entry(archive: &mut Archive, index: usize) -> Result<(String, Entry), WeightsError> {
    let member = archive.by_index(index);
    let member = member.map_err(|error| WeightsError::of_file(format!("cannot be read ({error}); {EXPECTED}")))?;
    let file_name = member.name().to_owned();
    let Some(name) = file_name.strip_suffix(".npy") else {
        return Err(WeightsError::of(&file_name, format!("is not a .npy array; {EXPECTED}")));
    };
    let size = member.size();
    let (layout, header) = read_npy_header(member).map_err(|message| WeightsError::of(name, message))?;
    Ok((name.to_owned(), Entry { layout, length: size.saturating_sub(header), place: index as u64 }))
}

#[derive(Debug)]
struct Npz {
    archive: Archive,
}

impl Format for Npz {
    fn reader<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, String> {
        let mut member =
            self.archive.by_index(entry.place as usize).map_err(|error| format!("cannot be read ({error})"))?;
        // The header again, whose length is what the array's own bytes leave of the member.
        let header = member.size() - entry.length;
        let skipped = std::io::copy(&mut (&mut member).take(header), &mut std::io::sink());
        skipped.map_err(|error| format!("cannot be read ({error})"))?;
        Ok(Box::new(member))
    }
}
