import { expect, test } from "bun:test";
import { usableMemory } from "./usable-memory.ts";

const MiB = 1024 * 1024;
const machine_bytes = 8192 * MiB;
const reading = (files: Readonly<Record<string, string>>) => (path: string) => files[path];

test("the machine's memory, where no control group bounds it", () => {
  expect(usableMemory(machine_bytes, reading({}))).toBe(machine_bytes);
  const unbounded = {
    "/proc/self/cgroup": "0::/system.slice/bramble-master.service\n",
    "/sys/fs/cgroup/system.slice/bramble-master.service/memory.max": "max\n",
  };
  expect(usableMemory(machine_bytes, reading(unbounded))).toBe(machine_bytes);
  const older = {
    "/proc/self/cgroup": "4:cpu,cpuacct:/\n3:memory:/a\n",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
  };
  expect(usableMemory(machine_bytes, reading(older))).toBe(machine_bytes);
});

test("the narrowest of the groups that the process is in", () => {
  const unified = {
    "/proc/self/cgroup": "0::/machine.slice/bramble\n",
    "/sys/fs/cgroup/machine.slice/memory.max": String(700 * MiB),
    "/sys/fs/cgroup/machine.slice/bramble/memory.max": String(900 * MiB),
  };
  expect(usableMemory(machine_bytes, reading(unified))).toBe(700 * MiB);
  const older = {
    "/proc/self/cgroup": "12:freezer:/x\n3:memory:/docker/b\n1:name=systemd:/x\n",
    "/sys/fs/cgroup/memory/docker/b/memory.limit_in_bytes": String(512 * MiB),
  };
  expect(usableMemory(machine_bytes, reading(older))).toBe(512 * MiB);
});

test("in a container that sees its own group as the root", () => {
  const files = { "/proc/self/cgroup": "0::/../elsewhere\n", "/sys/fs/cgroup/memory.max": String(600 * MiB) };
  expect(usableMemory(machine_bytes, reading(files))).toBe(600 * MiB);
});
