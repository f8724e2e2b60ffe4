use super::*;
use ndarray_rand::rand::Rng;

/// Three values a draw: a uniform; a one, and now and then a NaN or a zero; the uniform where it is above ½.
struct Uniforms;

impl Sampler for Uniforms {
    fn observables(&self) -> usize {
        3
    }
    fn bytes_per_worker(&self) -> u64 {
        0
    }
    fn worker(&self) -> Box<dyn Worker + '_> {
        Box::new(Uniforms)
    }
}

impl Worker for Uniforms {
    fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
        values[0] = stream.random();
        values[1] = match stream.random_range(0..100) {
            0 => f64::NAN,
            1..10 => 0.0,
            _ => 1.0,
        };
        values[2] = if values[0] > 0.5 { values[0] } else { LEFT_OUT };
    }
}

fn key() -> StreamKey {
    StreamKey::new(1, &["uniforms"])
}

fn with_threads(threads: usize, draws: u64) -> Tally {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| run(&Uniforms, &key(), StoppingRule::Draws(draws), Tally::new(3), &Unobserved).unwrap())
}

#[derive(Default)]
struct Keeper {
    states: Mutex<Vec<Tally>>,
    rows: Mutex<Vec<f64>>,
}

impl Observer for Keeper {
    fn state(&self, tally: &Tally, _: bool) {
        self.states.lock().unwrap().push(tally.clone());
    }
    fn values(&self, rows: &[f64]) {
        self.rows.lock().unwrap().extend(rows);
    }
}

/// All fields but NaN means, by their text.
fn text(tally: &Tally) -> String {
    format!("{tally:?}")
}

#[test]
fn the_bits_do_not_depend_on_threads() {
    assert_eq!(text(&with_threads(1, 5000)), text(&with_threads(3, 5000)));
}

#[test]
fn going_on_from_any_state_gives_the_bits_of_one_run() {
    let keeper = Keeper::default();
    let whole = run(&Uniforms, &key(), StoppingRule::Draws(1000), Tally::new(3), &keeper).unwrap();
    assert_eq!(whole.draws, 1000);
    let direct = with_threads(2, 5003);
    for state in keeper.states.into_inner().unwrap() {
        assert_eq!(state.draws % BLOCK, 0);
        let resumed = run(&Uniforms, &key(), StoppingRule::Draws(5003), state, &Unobserved).unwrap();
        assert_eq!(text(&resumed), text(&direct));
    }
}

#[test]
fn observers_see_every_draw_in_order() {
    let keeper = Keeper::default();
    run(&Uniforms, &key(), StoppingRule::Draws(333), Tally::new(3), &keeper).unwrap();
    let rows = keeper.rows.into_inner().unwrap();
    assert_eq!(rows.len(), 999);
    assert_eq!(rows[3 * 300], key().draw(300).random::<f64>());
}

#[test]
fn zeros_and_values_that_are_not_finite_are_counted_and_not_dropped() {
    let tally = with_threads(2, 10_000);
    let [uniform, odd, _] = &tally.summaries[..] else { panic!("three observables") };
    assert_eq!((uniform.zeros, uniform.non_finite), (0, 0));
    assert!((50..200).contains(&odd.non_finite) && (700..1100).contains(&odd.zeros), "{odd:?}");
    assert!(odd.moments.mean().is_nan());
    assert_eq!(odd.quantiles.count() + odd.non_finite, 10_000);
}

/// The mean of uniforms above ½ is ¾, within 4.5 standard errors (a false alarm below 10⁻⁵).
#[test]
fn draws_without_a_value_are_left_out_of_it_alone() {
    let tally = with_threads(2, 10_000);
    let some = &tally.summaries[2];
    let count = some.moments.count();
    assert!((4700..5300).contains(&count) && some.quantiles.count() == count, "{count}");
    assert!((some.moments.mean() - 0.75).abs() < 4.5 * some.moments.std_error());
    assert_eq!((some.zeros, some.non_finite, tally.draws, tally.summaries[0].moments.count()), (0, 0, 10_000, 10_000));
}

#[test]
fn precision_stops_at_a_look_and_does_not_depend_on_where_it_resumed() {
    struct One;
    impl Sampler for One {
        fn observables(&self) -> usize {
            1
        }
        fn bytes_per_worker(&self) -> u64 {
            0
        }
        fn worker(&self) -> Box<dyn Worker + '_> {
            Box::new(One)
        }
    }
    impl Worker for One {
        fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
            values[0] = stream.random();
        }
    }
    let rule = StoppingRule::Precision { relative: 5e-3, maximum: 1_000_000 };
    let keeper = Keeper::default();
    let direct = run(&One, &key(), rule, Tally::new(1), &keeper).unwrap();
    // Uniforms have relative standard deviation 1/√3, so about 13 300 draws are needed.
    assert!((13_000..17_500).contains(&direct.draws), "{}", direct.draws);
    for state in keeper.states.into_inner().unwrap() {
        assert_eq!(run(&One, &key(), rule, state, &Unobserved).unwrap(), direct);
    }
    let capped = StoppingRule::Precision { relative: 1e-9, maximum: 3000 };
    assert_eq!(run(&One, &key(), capped, Tally::new(1), &Unobserved).unwrap().draws, 3000);
}

/// A draw that is stopped inside leaves no trace, not even as the last one; a run goes on from before it.
#[test]
fn a_draw_that_is_stopped_inside_is_thrown_away() {
    struct Stopped(Stop);
    impl Sampler for Stopped {
        fn observables(&self) -> usize {
            1
        }
        fn bytes_per_worker(&self) -> u64 {
            0
        }
        fn worker(&self) -> Box<dyn Worker + '_> {
            Box::new(Stopped(self.0.clone()))
        }
    }
    impl Worker for Stopped {
        fn draw(&mut self, mut stream: Stream, values: &mut [f64]) {
            values[0] = stream.random();
            if values[0] == key().draw(255).random::<f64>() {
                self.0.ask();
                values[0] = f64::NAN;
            }
        }
    }
    struct Watching(Stop, Keeper);
    impl Observer for Watching {
        fn stop(&self) -> Stop {
            self.0.clone()
        }
        fn interrupted(&self) -> bool {
            self.0.is_asked()
        }
        fn state(&self, tally: &Tally, last: bool) {
            self.1.state(tally, last);
        }
    }
    let stop = Stop::new();
    let watching = Watching(stop.clone(), Keeper::default());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stopped = Stopped(stop.clone());
    let run_to = |draws, start, observer: &dyn Observer| {
        pool.install(|| run(&stopped, &key(), StoppingRule::Draws(draws), start, observer))
    };
    assert!(run_to(256, Tally::new(1), &watching).is_none() && stop.is_asked());
    let states = watching.1.states.into_inner().unwrap();
    let last = states.last().unwrap().clone();
    assert!(last.draws < 256 && last.draws.is_multiple_of(BLOCK) && last.summaries[0].non_finite == 0);
    assert_eq!(run_to(255, last, &Unobserved), run_to(255, Tally::new(1), &Unobserved));
}

#[test]
fn an_interruption_ends_the_run() {
    struct Interrupted;
    impl Observer for Interrupted {
        fn interrupted(&self) -> bool {
            true
        }
    }
    assert!(run(&Uniforms, &key(), StoppingRule::Draws(1000), Tally::new(3), &Interrupted).is_none());
}

/// Helpers on threads of this process, who answer after times of their own.
struct Threads {
    asked: Vec<std::sync::mpsc::Sender<(u64, u64)>>,
    answered: Mutex<std::sync::mpsc::Receiver<(usize, Vec<f64>)>>,
}

impl Threads {
    fn new(count: usize) -> Self {
        let (answer, answered) = std::sync::mpsc::channel();
        let helper = |helper: usize| {
            let (ask, asked) = std::sync::mpsc::channel::<(u64, u64)>();
            let answer = answer.clone();
            std::thread::spawn(move || {
                for (first, draws) in asked {
                    std::thread::sleep(Duration::from_micros(50 * (first % 7)));
                    let values = draws_of(&Uniforms, &key(), first, draws);
                    if answer.send((helper, values)).is_err() {
                        return;
                    }
                }
            });
            ask
        };
        Self { asked: (0..count).map(helper).collect(), answered: Mutex::new(answered) }
    }
}

impl Helpers for Threads {
    fn count(&self) -> usize {
        self.asked.len()
    }
    fn ask(&self, helper: usize, first: u64, draws: u64) {
        self.asked[helper].send((first, draws)).unwrap();
    }
    fn answer(&self, patience: Duration) -> Option<(usize, Vec<f64>)> {
        self.answered.lock().unwrap().recv_timeout(patience).ok()
    }
}

#[test]
fn helpers_change_no_bit() {
    for draws in [1, 63, 64, 1000, 20_011] {
        let alone = run(&Uniforms, &key(), StoppingRule::Draws(draws), Tally::new(3), &Unobserved).unwrap();
        for count in [1, 2, 4] {
            let keeper = Keeper::default();
            let helpers = Threads::new(count);
            let rule = StoppingRule::Draws(draws);
            let helped = run_with(&Uniforms, &key(), rule, Tally::new(3), &keeper, Some(&helpers)).unwrap();
            assert_eq!(text(&helped), text(&alone), "{count} helpers, {draws} draws");
            assert_eq!(keeper.rows.into_inner().unwrap().len(), 3 * draws as usize);
        }
    }
    let rule = StoppingRule::Precision { relative: 0.01, maximum: 40_000 };
    let alone = run(&Uniforms, &key(), rule, Tally::new(3), &Unobserved).unwrap();
    let helped = run_with(&Uniforms, &key(), rule, Tally::new(3), &Unobserved, Some(&Threads::new(3))).unwrap();
    assert_eq!(text(&helped), text(&alone));
}

/// One who is at work and never answers holds nobody up where the run is to end.
#[test]
fn a_run_that_is_interrupted_does_not_wait_for_helpers() {
    struct Silent;
    impl Helpers for Silent {
        fn count(&self) -> usize {
            1
        }
        fn ask(&self, _: usize, _: u64, _: u64) {}
        fn answer(&self, patience: Duration) -> Option<(usize, Vec<f64>)> {
            std::thread::sleep(patience);
            None
        }
    }
    struct Soon(Instant);
    impl Observer for Soon {
        fn interrupted(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(200)
        }
    }
    let rule = StoppingRule::Draws(10_000);
    let ended = run_with(&Uniforms, &key(), rule, Tally::new(3), &Soon(Instant::now()), Some(&Silent));
    assert!(ended.is_none());
}
