//! One catalogue of samples: the same names and keys in `[input]`, in `[data]` and in `gradlaw attack --data`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image::{Rgb, RgbImage};
use ndarray::{Array1, Array4};

const SIDE: usize = 8;

fn gradlaw(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gradlaw")).current_dir(folder).args(arguments).output().unwrap()
}

fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = gradlaw(folder, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Bytes that look like an image of class `label`.
fn pixels(label: usize, count: usize) -> Vec<u8> {
    (0..count).map(|at| (17 * label + 31 * at + at * at) as u8).collect()
}

/// Small sets of every kind, each of whose parts has twenty samples of ten classes.
fn write_sets(folder: &Path) {
    let records = || (0..20).flat_map(|at| [vec![(at % 10) as u8], pixels(at, 3072)].concat()).collect::<Vec<u8>>();
    fs::create_dir_all(folder.join("cifar")).unwrap();
    for batch in ["data_batch_1.bin", "test_batch.bin"] {
        fs::write(folder.join("cifar").join(batch), records()).unwrap();
    }
    fs::create_dir_all(folder.join("mnist")).unwrap();
    for part in ["train", "t10k"] {
        let header: Vec<u8> = [0x803u32, 20, 28, 28].iter().flat_map(|number| number.to_be_bytes()).collect();
        let images: Vec<u8> = (0..20).flat_map(|at| pixels(at, 28 * 28)).collect();
        fs::write(folder.join(format!("mnist/{part}-images-idx3-ubyte")), [header, images].concat()).unwrap();
        let header: Vec<u8> = [0x801u32, 20].iter().flat_map(|number| number.to_be_bytes()).collect();
        let labels: Vec<u8> = (0..20).map(|at| at % 10).collect();
        fs::write(folder.join(format!("mnist/{part}-labels-idx1-ubyte")), [header, labels].concat()).unwrap();
    }
    for (part, class, at) in ["train", "test"].into_iter().flat_map(|part| (0..20).map(move |at| (part, at % 10, at))) {
        let place = folder.join(format!("images/{part}/class{class}"));
        fs::create_dir_all(&place).unwrap();
        let bytes = pixels(at, 3 * 10 * 12);
        let image = RgbImage::from_fn(12, 10, |x, y| {
            let at = 3 * (y * 12 + x) as usize;
            Rgb([bytes[at], bytes[at + 1], bytes[at + 2]])
        });
        image.save(place.join(format!("{at}.png"))).unwrap();
    }
    let samples = Array4::from_shape_fn((20, 3, SIDE, SIDE), |(at, c, x, y)| (at + 3 * c + 5 * x * y) as f32 / 100.0);
    ndarray_npy::write_npy(folder.join("samples.npy"), &samples).unwrap();
    ndarray_npy::write_npy(folder.join("labels.npy"), &Array1::from_shape_fn(20, |at| (at % 10) as i64)).unwrap();
}

const LAYERS: &str = "layers = [{ type = \"flatten\" }, { type = \"dense\", units = 10, bias = true }]";

#[test]
fn every_set_has_one_name_and_the_same_keys_everywhere() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_sets(folder);
    for (set, path, keys, channels) in [
        ("cifar10", "cifar", "path = \"cifar\", resize = 8, resize_filter = \"area\"", 3),
        ("mnist", "mnist", "path = \"mnist\", resize = 8", 1),
        ("images", "images", "path = \"images\", resize = 8", 3),
        ("synthetic", "", "classes = 10, side = 8, samples = 20, noise = 0.3", 3),
    ] {
        let network = format!("input = [{channels}, 8, 8]\n{LAYERS}");
        let drawn = format!(
            "name = \"drawn-{set}\"\ndraws = 60\nobservables = [\"loss.l1\"]\n\
             input = {{ distribution = \"{set}\", part = \"test\", label = true, {keys} }}\n[[network]]\n{network}"
        );
        fs::write(folder.join("drawn.toml"), drawn).unwrap();
        ok(folder, &["run", "drawn.toml", "--quiet"]);
        assert!(fs::read_to_string(folder.join(format!("runs/drawn-{set}/points.csv"))).unwrap().contains("loss.l1"));

        let trained = format!(
            "name = \"trained-{set}\"\nkeep_weights = true\nobservables = [\"accuracy\"]\n\
             data = {{ set = \"{set}\", validation = 4, {keys} }}\ntraining = {{ epochs = 1, batch = 4, rate = 0.1 }}\n\
             [[network]]\n{network}"
        );
        fs::write(folder.join("trained.toml"), trained).unwrap();
        ok(folder, &["run", "trained.toml", "--quiet"]);
        let weights = fs::read_dir(folder.join(format!("runs/trained-{set}/weights"))).unwrap().next().unwrap();
        let weights = weights.unwrap().path();

        fs::write(folder.join("net.toml"), network).unwrap();
        let data = if path.is_empty() { set.to_owned() } else { format!("{set}:{path}") };
        let attack = ["attack", "--network", "net.toml", "--weights", weights.to_str().unwrap(), "--data", &data];
        let options = ["--attack", "fgsm", "--epsilon", "0.01", "--split", "test"];
        let output = ok(folder, &[&attack[..], &options].concat());
        let output: serde_json::Value = serde_json::from_str(&output).unwrap();
        assert!(output["samples"].as_u64().is_some_and(|samples| samples > 0), "{output}");
    }
}

#[test]
fn arrays_have_labels_where_their_file_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_sets(folder);
    let spec = |label: &str, labels: &str| {
        format!(
            "name = \"array\"\ndraws = 60\nobservables = [\"loss.l1\"]\n\
             input = {{ distribution = \"npy\", path = \"samples.npy\", label = {label}{labels} }}\n\
             [[network]]\ninput = [3, 8, 8]\n{LAYERS}"
        )
    };
    fs::write(folder.join("array.toml"), spec("true", ", labels = \"labels.npy\"")).unwrap();
    ok(folder, &["run", "array.toml", "--quiet"]);
    let refused = |spec: String| {
        fs::write(folder.join("array.toml"), spec).unwrap();
        let output = gradlaw(folder, &["run", "array.toml", "--quiet"]);
        assert_eq!(output.status.code(), Some(2));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(spec("true", "")).contains("input.labels names their file"));
    assert!(refused(spec("true", ", part = \"test\"")).contains("does not go with distribution = \"npy\""));
    assert!(refused(spec("true", ", labels = \"samples.npy\"")).contains("samples.npy"));
    let trained = format!(
        "name = \"array\"\nobservables = [\"accuracy\"]\ndata = {{ set = \"npy\", path = \"samples.npy\" }}\n\
         training = {{ epochs = 1, batch = 4, rate = 0.1 }}\n[[network]]\ninput = [3, 8, 8]\n{LAYERS}"
    );
    let error = refused(trained);
    assert!(error.contains("data.set") && error.contains("cifar10, mnist, images or synthetic"), "{error}");
}

/// A state belongs to the samples that it was drawn or trained with: whatever changes in them, it is not gone on from, also where the files
/// keep their sizes and times; where nothing but their place does, it is.
#[test]
fn samples_that_changed_are_seen_and_samples_that_moved_are_the_same() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    write_sets(folder);
    let layers = "[{ type = \"flatten\" }, { type = \"dense\", units = 30 }, { type = \"relu\" }, { type = \"dense\", units = 10 }]";
    let drawn = format!(
        "name = \"drawn\"\ndraws = 300\nobservables = [\"loss.l1\"]\n\
         input = {{ distribution = \"npy\", path = \"samples.npy\", labels = \"labels.npy\", label = true }}\n\
         [[network]]\nsampler = \"explicit\"\ninput = [3, 8, 8]\nlayers = {layers}"
    );
    let trained = format!(
        "name = \"trained\"\nobservables = [\"accuracy\", \"loss.l1\"]\n\
         data = {{ set = \"images\", path = \"images\", resize = 8, validation = 4 }}\n\
         training = {{ epochs = 3, batch = 4, rate = 0.01 }}\n[[network]]\ninput = [3, 8, 8]\nlayers = {layers}"
    );
    fs::write(folder.join("drawn.toml"), drawn).unwrap();
    fs::write(folder.join("trained.toml"), trained).unwrap();
    let run = |spec: &str, out: &str, more: &[&str]| {
        ok(folder, &[&["run", &format!("{spec}.toml"), "--quiet", "--out", out], more].concat());
        let file = if spec == "drawn" { "points.csv" } else { "networks.csv" };
        fs::read_to_string(folder.join(out).join(spec).join(file)).unwrap()
    };
    let states = |spec: &str| {
        let states = fs::read_dir(folder.join("kept").join(spec).join("state")).unwrap();
        states.filter(|state| state.as_ref().unwrap().path().extension() == Some("json".as_ref())).count()
    };
    // A share leaves its states, however quick it was.
    for spec in ["drawn.toml", "trained.toml"] {
        ok(folder, &["run", spec, "--quiet", "--shard", "1/1", "--out", "kept"]);
    }
    let before = ["drawn", "trained"].map(|spec| run(spec, "kept", &[]));
    assert_eq!(["drawn", "trained"].map(states), [1, 1]);

    fs::create_dir(folder.join("elsewhere")).unwrap();
    for moved in ["samples.npy", "labels.npy", "images"] {
        fs::rename(folder.join(moved), folder.join("elsewhere").join(moved)).unwrap();
    }
    let moved = [
        ("drawn", vec!["--set", "input.path=elsewhere/samples.npy", "--set", "input.labels=elsewhere/labels.npy"]),
        ("trained", vec!["--set", "data.path=elsewhere/images"]),
    ];
    for ((spec, paths), before) in moved.iter().zip(&before) {
        assert_eq!(&run(spec, "kept", paths), before);
        assert_eq!(states(spec), 1, "the same state serves");
    }

    // One label, and some images that are copied over others of their size.
    let same_time = |path: &Path, change: &dyn Fn()| {
        let time = path.metadata().unwrap().modified().unwrap();
        change();
        fs::File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
    };
    let labels = folder.join("elsewhere/labels.npy");
    same_time(&labels, &|| {
        let other = Array1::from_shape_fn(20, |at| if at == 7 { 2 } else { (at % 10) as i64 });
        ndarray_npy::write_npy(&labels, &other).unwrap();
    });
    for at in 10..20 {
        let image = folder.join(format!("elsewhere/images/train/class{}/{at}.png", at % 10));
        same_time(&image, &|| {
            fs::copy(folder.join(format!("elsewhere/images/train/class{}/{}.png", at % 10, at - 10)), &image).unwrap();
        });
    }
    for ((spec, paths), before) in moved.iter().zip(&before) {
        let file = format!("{spec}.toml");
        let again = [&["run", &file, "--quiet", "--out", "kept"], &paths[..]].concat();
        let refused = gradlaw(folder, &again);
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        assert!(message.contains("the data or the program") && message.contains("--fresh"), "{message}");
        assert_eq!(states(spec), 1, "nothing is lost");
        let fresh = [&paths[..], &["--fresh"]].concat();
        let after = run(spec, "kept", &fresh);
        assert_ne!(&after, before, "{spec}");
        assert_eq!(after, run(spec, "anew", paths));
    }
}
