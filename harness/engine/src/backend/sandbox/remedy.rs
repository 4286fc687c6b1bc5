//! What to do when a machine does not allow sandboxes: the exact command, found by reading the settings that forbid them.

use std::fs;
use std::io;

use crate::backend::BackendError;

pub(super) const OTHERWISE: &str = "run as root";

/// The reason why an ordinary user may not make a user namespace.
pub(super) fn refused_user_namespace(error: &io::Error) -> BackendError {
    let problem = format!("no sandbox for an ordinary user: the kernel refused a user namespace ({error})");
    BackendError::Unsupported { problem, remedy: user_namespace_remedy() }
}

/// The reason why rights inside a new user namespace are not what they should be.
pub(super) fn in_container(error: &io::Error, action: &str) -> BackendError {
    BackendError::Unsupported {
        problem: format!("no sandbox: {action}: {error}"),
        remedy: user_namespace_remedy(),
    }
}

/// The command that unlocks user namespaces here, or the ways around them.
pub(super) fn user_namespace_remedy() -> String {
    choose(|name| fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok())
}

/// The first setting that forbids, in the order in which the kernel asks them.
fn choose(read: impl Fn(&str) -> Option<String>) -> String {
    let settings = [
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "15000"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("user.max_net_namespaces", "0", "15000"),
        ("user.max_mnt_namespaces", "0", "15000"),
        ("user.max_pid_namespaces", "0", "15000"),
    ];
    for (name, forbids, allows) in settings {
        if read(name).is_some_and(|value| value.trim() == forbids) {
            return format!("sudo sysctl -w {name}={allows}, or {OTHERWISE}");
        }
    }
    format!("{OTHERWISE} (inside a container: start it with --privileged)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_that_forbids_is_named() {
        let with = |wanted: &'static str, value: &'static str| {
            choose(move |name| (name == wanted).then(|| value.to_owned()))
        };
        assert!(
            with("kernel.unprivileged_userns_clone", "0\n")
                .starts_with("sudo sysctl -w kernel.unprivileged_userns_clone=1,")
        );
        assert!(
            with("kernel.apparmor_restrict_unprivileged_userns", "1\n")
                .contains("restrict_unprivileged_userns=0")
        );
        assert!(with("user.max_user_namespaces", "0\n").contains("user.max_user_namespaces=15000"));
        assert!(with("user.max_user_namespaces", "96365\n").starts_with("run as root"));
    }
}
