//! Processor time, of which other work on the machine takes little away.

/// Seconds of processor time that all threads of this process have taken.
pub fn processor_seconds() -> Option<f64> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    let nanoseconds = |path: std::path::PathBuf| -> Option<f64> {
        std::fs::read_to_string(path.join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    let total: f64 = tasks.filter_map(|task| nanoseconds(task.ok()?.path())).sum();
    (total > 0.0).then_some(total * 1e-9)
}
