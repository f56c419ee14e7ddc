"""
Flaws that other container systems had, as edits that would put them back into Shoal, each with the
test that has to notice it. Known to test_flaws.py, which tries them, and to tests/tidy, which sees to
it that each edit still fits.
"""

from collections import namedtuple

Edit = namedtuple("Edit", "file old new")
# `test` is "FILE::TEST" below tests/, or the name of a unit test's program.
Flaw = namedtuple("Flaw", "names edits test")

RUNTIME = "src/runtime/container/"
# Links of the image lead to where they would lead on the host.
FOLLOW = [
    Edit(RUNTIME + "path.c", ".resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,", ".resolve = 0,"),
    Edit(RUNTIME + "path.c", "root_fd, *path ? path : \"/\", &how",
         "root_fd, path[strspn(path, \"/\")] ? path + strspn(path, \"/\") : \".\", &how"),
]

FLAWS = [
    Flaw("CVE-2016-3697", [Edit(
        RUNTIME + "user.c", "if (by_id ? uid != id : !piece_is(f[0], name))",
        "if (!piece_is(f[0], name))")], "unit_runtime_container_test_user"),
    Flaw("CVE-2016-8867 CVE-2022-24769 CVE-2022-27650", [Edit(
        RUNTIME + "caps.c", "rc = caps_parse(&c->ambient, &s.ambient, e);",
        "rc = caps_parse(&c->permitted, &s.ambient, e), s.inheritable = s.ambient;")],
         "host/test_cve.py::test_a_user_gets_no_capabilities_of_roots"),
    Flaw("CVE-2018-10892", [Edit(RUNTIME + "defaults.c", "\t\"/proc/acpi\",\n", "")],
         "host/test_cve.py::test_the_defaults_mask_what_tells_of_the_host"),
    Flaw("CVE-2018-20699", [Edit(
        RUNTIME + "spec_check.c", "if (digits > 5)", "if (digits > 5000)")],
         "host/test_cve.py::test_a_processor_that_no_machine_has"),
    Flaw("CVE-2019-5736", [Edit(
        RUNTIME + "self.c", "\tif (rc < 0 || safe)\n\t\treturn rc;", "\tif (1)\n\t\treturn 0;")],
         "host/test_oci.py::test_the_program_cannot_be_written_through_proc"),
    Flaw("CVE-2019-16884 CVE-2023-27561 CVE-2023-28642", [Edit(
        RUNTIME + "rootfs.c", "kernel || dev ? PATH_NO_LINKS : 0", "0")],
         "host/test_shim.py::test_a_link_in_place_of_proc_sys_or_dev_is_refused"),
    Flaw("CVE-2015-3630 CVE-2019-16884", [Edit(
        RUNTIME + "rootfs.c", "if (on_proc(source))\n\t\t\treturn 0;", "return 0;")],
         "host/test_shim.py::test_volumes_over_proc_are_refused"),
    Flaw("CVE-2015-3627 CVE-2019-18837", FOLLOW,
         "host/test_oci_spec.py::test_a_mount_through_a_link_stays_inside"),
    Flaw("CVE-2021-30465 CVE-2024-45310", FOLLOW,
         "host/test_cve.py::test_mount_targets_that_are_exchanged_meanwhile"),
    Flaw("CVE-2021-41091", [Edit(
        "src/agent/engine.c", "dir_make(e->config.data_root, 0710, err)",
        "dir_make(e->config.data_root, 0755, err)")],
         "host/test_daemon_killed.py::test_the_data_root_is_closed_to_others"),
    Flaw("CVE-2022-29162", [Edit(
        "src/runtime/oci/exec.c", "&p->capabilities.permitted};",
        "&p->capabilities.permitted, &p->capabilities.inheritable};")],
         "host/test_oci.py::test_caps_of_exec_are_not_inheritable"),
    Flaw("CVE-2022-36109", [Edit(
        RUNTIME + "user.c", "\tgids_add(&u->additional_gids, u->gid);\n", "")],
         "unit_runtime_container_test_user"),
    Flaw("CVE-2024-21626", [Edit(
        RUNTIME + "init.c", "syscall(SYS_close_range, 3 + l->preserve_fds, ~0U, CLOSE_RANGE_CLOEXEC)",
        "0 * (long)l->preserve_fds"),
        Edit("src/runtime/oci/process.c", "syscall(SYS_close_range, 3 + n, ~0U, 0)", "0 * (long)n")],
         "host/test_oci.py::test_no_descriptor_of_the_host_is_seen_inside"),
    Flaw("CVE-2025-31133", [
        Edit(RUNTIME + "rootfs.c", "\tr->null_of_host = r->dev < 0;\n",
             "\tr->null = path_open(r->root, \"/dev/null\", O_PATH, 0);\n"
             "\tif (r->null >= 0)\n\t\treturn 0;\n\tr->null_of_host = r->dev < 0;\n")],
         "host/test_cve.py::test_a_null_device_of_the_image_covers_nothing"),
    Flaw("CVE-2025-52565", [Edit(
        RUNTIME + "rootfs.c", "path_make_file(r->root, \"/dev/console\", PATH_NO_LINKS)",
        "path_make_file(r->root, \"/dev/console\", 0)")],
         "host/test_cve.py::test_a_console_of_the_image_is_not_followed"),
    Flaw("CVE-2025-52881", [
        Edit(RUNTIME + "rootfs.c", "auto_free char *path = xasprintf(\"sys/%s\", p->key);",
             "auto_free char *path = xasprintf(\"sys/%s\", p->key);\n"
             "\t\tint proc = path_open(r->root, \"/proc\", O_PATH | O_DIRECTORY, 0);"),
        Edit(RUNTIME + "rootfs.c", "rc = rootfs_write_proc(r, path, p->value, e);",
             "close(r->proc);\n\t\tr->proc = proc;\n\t\trc = rootfs_write_proc(r, path, p->value, e);"),
        Edit(RUNTIME + "rootfs.c", "\tif (!on_proc(fd))\n", "\tif (0)\n")],
         "host/test_cve.py::test_what_is_written_to_proc_goes_to_proc"),
    Flaw("CVE-2026-30892", [Edit(
        "src/runtime/oci/exec.c", "if (!n || n > 10 ||", "if (n > 99 && (!n || n > 10) ||"),
        Edit("src/runtime/oci/exec.c", "(text[n] && (text[n] != ':' || !m || text[n + 1 + m])) ||\n",
             "0 ||\n")],
         "host/test_oci.py::test_exec_takes_whole_numbers_for_users"),
    Flaw("CVE-2026-41579 CVE-2026-47766", FOLLOW + [Edit(
        RUNTIME + "rootfs_dev.c", "path_open_parent(r->root, d->path, PATH_NO_LINKS, name)",
        "path_open_parent(r->root, d->path, 0, name)")],
         "host/test_cve.py::test_devices_are_not_made_through_a_link"),
]
