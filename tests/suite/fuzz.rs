//! Everything that the program reads, damaged at random: no panic, no hang, an error or a value. What is damaged is a valid file, so that most
//! damage gets past the first check; a short form runs with all tests, a long one by name.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use gradlaw::data::{Cifar10, ImageFolder, Mnist, Npy, Split};
use gradlaw::experiment::{Experiment, Limits, Override, RunOptions, Unwatched, catalogue, judge, load, results};
use gradlaw::network::WeightFile;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Longest time for one input; far above what one takes on a machine with other work.
const HANG: Duration = Duration::from_secs(10);

/// Pieces of what is read, which chance alone would hardly write.
const WORDS: &[&str] = &[
    "[[network]]",
    "[sweep]",
    "[[claim]]",
    "layers = [",
    "{ type = \"dense\", units = ",
    "999999999999",
    "-1",
    "1e308",
    "nan",
    "\"d\"",
    "= [",
    "]",
    "}",
    "exponent",
    "sqrt(",
    "^",
    "((((",
    "E[",
    "\u{221a}",
    "0x",
    "\0",
    "'shape': (",
    "18446744073709551615",
    "<f8",
    "\"F64\"",
    "data_offsets",
    "..",
    "\n",
    "loss.l1",
    "damage.fgsm@",
    "fan_in",
    "\u{ff}",
];

struct Damage(ChaCha8Rng);

impl Damage {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    /// One to four changes of a valid input: bits, bytes, cuts, pieces moved, doubled or put in.
    fn of(&mut self, valid: &[u8]) -> Vec<u8> {
        let mut bytes = valid.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len() + 1);
            let span = at..(at + self.below(16)).min(bytes.len());
            match self.below(7) {
                0 => bytes.truncate(at),
                1 | 2 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                3 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'-', b'9'][self.below(8)],
                4 => drop(bytes.drain(span)),
                5 => {
                    let piece = bytes[span].to_vec();
                    let to = self.below(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
                _ => {
                    let word = WORDS[self.below(WORDS.len())].bytes();
                    bytes.splice(at..at, word);
                }
            }
        }
        bytes
    }
}

/// Gives `read` so many damaged inputs, and says how many of them it took.
fn damaged(seed: u64, rounds: usize, corpus: &[Vec<u8>], mut read: impl FnMut(&[u8]) -> bool) -> usize {
    let mut damage = Damage(ChaCha8Rng::seed_from_u64(seed));
    let mut taken = 0;
    for round in 0..rounds {
        let input = damage.of(&corpus[round % corpus.len()]);
        let began = Instant::now();
        taken += usize::from(read(&input));
        assert!(began.elapsed() < HANG, "round {round} of seed {seed} hangs");
    }
    taken
}

/// A reader of one file, for [`damaged`].
fn of_file<'a>(path: &'a Path, open: impl Fn(&Path) -> bool + 'a) -> impl FnMut(&[u8]) -> bool + 'a {
    move |bytes| {
        fs::write(path, bytes).unwrap();
        open(path)
    }
}

fn npy(shape: &str, values: usize) -> Vec<u8> {
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    header.push_str(&" ".repeat(117 - header.len()));
    [&b"\x93NUMPY\x01\x00\x76\x00"[..], header.as_bytes(), b"\n", &vec![0x3e; 4 * values]].concat()
}

fn idx(dimensions: &[u32], values: usize) -> Vec<u8> {
    let sizes = dimensions.iter().flat_map(|size| size.to_be_bytes());
    [0, 0, 8, dimensions.len() as u8]
        .into_iter()
        .chain(sizes)
        .chain((0..values).map(|value| value as u8 % 10))
        .collect()
}

fn specs() -> Vec<Vec<u8>> {
    catalogue::SHIPPED.iter().map(|shipped| shipped.text.as_bytes().to_vec()).collect()
}

fn spec_is_read(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| load::parse("fuzz.toml", text, &[]).is_ok())
}

/// A spec of one formula, as a claim's value.
fn formula_is_read(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let quoted = toml::Value::String(text.into());
    let spec = format!(
        "name = \"formula\"\nobservables = [\"loss.l1\"]\n[sweep]\nd = [4]\n[[network]]\ninput = [\"d\"]\nlayers = [{{ type = \"dense\", units = 2 }}]\n\
         [[claim]]\nstatement = \"as said\"\nobservable = \"loss.l1\"\nvalue = {quoted}\ntolerance = 0.1\n"
    );
    load::parse("formula.toml", &spec, &[]).is_ok()
}

const TINY: &str = r#"
name = "tiny"
draws = 64
observables = ["loss.l1"]
[sweep]
d = [3, 5]
[[network]]
label = "net"
input = ["d"]
sampler = "explicit"
layers = [{ type = "dense", units = 4 }, { type = "relu" }, { type = "dense", units = 2 }]
[[claim]]
statement = "as a power"
observable = "loss.l1"
against = "dimension"
exponent = 0.5
tolerance = 0.5
"#;

/// Damages each file of a results folder in turn, and reads the folder.
fn results_are_read(rounds: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let spec = load::parse("tiny.toml", TINY, &[]).unwrap();
    let experiment = Experiment::prepare(spec, &Limits { threads: 1, memory: 1 << 30 }).unwrap();
    let place = folder.path();
    let measured = experiment.run(place, RunOptions::default(), &Unwatched).unwrap();
    let verdicts = judge(&[experiment.measured(&measured.measurements)]).concat();
    experiment.save(place, &measured, &verdicts).unwrap();
    let names =
        ["points.csv", "verdicts.json", "spec.toml", "manifest.json", "figure.svg"].map(|name| place.join(name));
    assert!(results::folder::read(place).is_ok());
    let mut taken = 0;
    for (seed, path) in names.iter().enumerate() {
        let valid = fs::read(path).unwrap();
        taken += damaged(
            seed as u64,
            rounds / names.len(),
            std::slice::from_ref(&valid),
            of_file(path, |_| results::folder::read(place).is_ok()),
        );
        fs::write(path, valid).unwrap();
    }
    taken
}

/// Every reader, so many inputs each; what each took, and how many inputs there were.
fn everything(rounds: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let mut inputs = 0;
    let mut report = |name: &str, rounds: usize, taken: usize| {
        println!("{name}: {rounds} inputs, {taken} of them still valid");
        inputs += rounds;
    };

    report("specs", rounds, damaged(1, rounds, &specs(), spec_is_read));
    let formulas = ["sqrt(2 * d / pi)", "1.5 * d^0.37 + ln(d)/2", "2d", "\u{221a}d", "-(d+1)^-2", "max(d, 3) * E"];
    let formulas = formulas.map(|formula| formula.as_bytes().to_vec());
    report("formulas", rounds, damaged(2, rounds, &formulas, formula_is_read));
    let overrides = ["sweep.d=[64, 256]", "draws=100", "network.0.layers.1.units=\"d/2\"", "input.path=a b"];
    let overrides = overrides.map(|text| text.as_bytes().to_vec());
    let set = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Override>().is_ok());
    report("--set", rounds, damaged(3, rounds, &overrides, set));

    let weights = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/given-dense.safetensors")).unwrap();
    let path = at("w.safetensors");
    report(
        "safetensors",
        rounds,
        damaged(4, rounds, &[weights], of_file(&path, |path| WeightFile::open(path).is_ok())),
    );
    let archive = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/given-conv.npz")).unwrap();
    let path = at("w.npz");
    report("npz", rounds, damaged(5, rounds, &[archive], of_file(&path, |path| WeightFile::open(path).is_ok())));

    let path = at("x.npy");
    let arrays = [npy("(2, 6)", 12), npy("(3, 6)", 18)];
    report("npy", rounds, damaged(6, rounds, &arrays, of_file(&path, |path| Npy::<f32>::open(path, &[6]).is_ok())));
    fs::create_dir(at("mnist")).unwrap();
    let (images, labels) = (at("mnist/train-images-idx3-ubyte"), at("mnist/train-labels-idx1-ubyte"));
    fs::write(&labels, idx(&[2], 2)).unwrap();
    let mnist = |_: &Path| Mnist::open(&at("mnist"), Split::Training).is_ok();
    report("IDX", rounds, damaged(7, rounds, &[idx(&[2, 4, 4], 32)], of_file(&images, mnist)));
    fs::create_dir(at("cifar")).unwrap();
    let batch = at("cifar/data_batch_1.bin");
    fs::write(at("cifar/test_batch.bin"), vec![1; 3073]).unwrap();
    let cifar = |_: &Path| Cifar10::open(&at("cifar")).is_ok();
    report("CIFAR", rounds, damaged(8, rounds, &[vec![2; 2 * 3073]], of_file(&batch, cifar)));
    for class in ["images/train/a", "images/train/b", "images/test/a", "images/test/b"] {
        fs::create_dir_all(at(class)).unwrap();
        image::RgbImage::from_fn(5, 4, |x, y| image::Rgb([x as u8 * 40, y as u8 * 50, 9]))
            .save(at(class).join("x.png"))
            .unwrap();
    }
    let path = at("images/train/a/x.png");
    let jpeg = at("y.jpg");
    image::RgbImage::from_fn(9, 8, |x, y| image::Rgb([x as u8 * 20, y as u8 * 30, 9])).save(&jpeg).unwrap();
    let pictures = [fs::read(&path).unwrap(), fs::read(&jpeg).unwrap()];
    let open = |_: &Path| ImageFolder::open(&at("images"), Split::Training, 4).is_ok();
    report("images", rounds, damaged(9, rounds, &pictures, of_file(&path, open)));
    report("results", rounds, results_are_read(rounds));
    inputs
}

#[test]
fn no_damaged_input_makes_a_panic_or_a_hang() {
    everything(300);
}

#[test]
#[ignore = "takes some minutes"]
fn a_million_damaged_inputs_make_no_panic_and_no_hang() {
    let inputs = everything(100_000);
    println!("inputs: {inputs}");
    assert!(inputs >= 1_000_000);
}
