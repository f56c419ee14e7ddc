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
# So do those of a layer that is unpacked.
UNPACK = [
    Edit("src/runtime/image/tree.c",
         "RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS |\n\t\t\t   RESOLVE_NO_XDEV,",
         "0,"),
    Edit("src/runtime/image/tree.c", "(flags | O_CLOEXEC | O_NOFOLLOW),", "(flags | O_CLOEXEC),"),
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
        RUNTIME + "self.c", "\tif (rc < 0 || safe)\n\t\treturn rc;", "\tif (1)\n\t\treturn 0;"),
        Edit("src/main/entry_oci.c", "\tif (!makes_processes(*stack, argv) || is_protected())",
             "\tif (makes_processes(*stack, argv) || is_protected() || 1)")],
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
    Flaw("CVE-2014-6407", UNPACK, "unit_runtime_image_test_layer"),
    Flaw("CVE-2014-9357", UNPACK + [Edit(
        "src/runtime/image/tree.c", "if (n == 2 && at[0] == '.' && at[1] == '.')\n\t\t\treturn",
        "if (0)\n\t\t\treturn")], "unit_runtime_image_test_layer"),
    # What is read-only in /proc stays writable.
    Flaw("CVE-2015-3630", [Edit(
        RUNTIME + "rootfs_mask.c", "i < l->readonly_paths.n", "i < 0 * l->readonly_paths.n")],
         "host/test_shim.py::test_masked_and_readonly_paths"),
    Flaw("CVE-2016-9962", [
        Edit(RUNTIME + "init.c", "PR_SET_DUMPABLE, 0, 0, 0, 0);\n\ti->root.root",
             "PR_SET_DUMPABLE, 1, 0, 0, 0);\n\ti->root.root"),
        Edit(RUNTIME + "init.c", "\tint rc;\n\n\t(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);\n",
             "\tint rc;\n\n")],
         "host/test_cve_live.py::test_an_executed_process_with_the_containers_rights_is_closed"),
    Flaw("CVE-2019-13509", [Edit(
        "src/runtime/oci/main.c", "\tif (rc == 0)\n\t\trc = run_command(&o, rest, &e);\n",
        "\tfor (char **w = rest; rc == 0 && o.debug && *w; w++)\n\t\tlog_error(&o, *w);\n"
        "\tif (rc == 0)\n\t\trc = run_command(&o, rest, &e);\n")],
         "host/test_cve_live.py::test_the_log_has_no_secrets"),
    # A target is checked below the root, and then used once more by its name.
    Flaw("CVE-2021-30465", [Edit(
        RUNTIME + "rootfs.c", "\tif (fd < 0)\n\t\treturn err_code(e, fd, \"cannot open the mount target",
        "\tint checked = path_open(r->root, m->destination, O_PATH, PATH_NO_LINKS);\n"
        "\tint again = checked < 0 ? -1 : openat(r->root, m->destination + 1, O_PATH | O_CLOEXEC);\n"
        "\tif (again >= 0)\n\t\treturn again;\n"
        "\tif (fd < 0)\n\t\treturn err_code(e, fd, \"cannot open the mount target")],
         "host/test_cve_live.py::test_a_mount_is_inside_wherever_its_target_is_exchanged_for"),
    Flaw("CVE-2024-45310", [Edit(
        RUNTIME + "path.c", "\tif (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)",
        "\tauto_free char *above = xstrndup(path, (size_t)(strrchr(path, '/') - path));\n"
        "\tauto_close int checked = path_open(root_fd, above, O_PATH, PATH_NO_LINKS);\n"
        "\tif (checked >= 0)\n\t\t(void)mkdirat(root_fd, path + 1, 0755);\n"
        "\tif (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)")],
         "host/test_cve_live.py::test_no_target_is_made_where_a_folder_was_exchanged_for_a_link"),
    # A length in 16 bits, as in netlink's attributes.
    Flaw("CVE-2021-43784", [Edit(
        RUNTIME + "launch_ns.c", "auto_close int fd = open(ns->path, O_RDONLY | O_CLOEXEC);",
        "auto_free char *cut = xstrndup(ns->path, (uint16_t)strlen(ns->path));\n"
        "\tauto_close int fd = open(cut, O_RDONLY | O_CLOEXEC);")],
         "host/test_cve_live.py::test_a_length_that_does_not_fit_16_bits_is_no_shorter_one"),
    # The working directory is entered by its name alone.
    Flaw("CVE-2024-21626 (cwd)", [
        Edit(RUNTIME + "init.c", "\tif (fd < 0)\n\t\treturn err_code(e, fd, \"cannot enter the working",
             "\tif (chdir(cwd) == 0)\n\t\treturn 0;\n"
             "\tif (fd < 0)\n\t\treturn err_code(e, fd, \"cannot enter the working"),
        Edit(RUNTIME + "init.c", "\tdir = path_make_dir(i->root.root, i->spec->process.cwd, 0);\n", "")],
         "host/test_oci.py::test_no_descriptor_of_the_host_is_seen_inside"),
]
