import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Vm } from "#tools/local-cluster/vm.ts";
import { BootPartition } from "./boot-partition.ts";

/** A board armed at its first boot as Raspberry Pi OS does it without cloud-init: by boot arguments that name a script on the card. */
setDefaultTimeout(3_600_000);
const boot = "/boot/firmware";
const dir = mkdtempSync("/var/tmp/bramble-first-boot-");
const card = new BootPartition(dir, "bootfs");
const vm = new Vm(join(dir, "guest"));
const settings = "role=worker\r\ntoken=BR1secret\r\n";

beforeAll(async () => {
  card.copy(resolve(import.meta.dir, "../../systemd/bramble-first-boot.sh"));
  card.write("bramble.conf", settings);
  // What Imager makes, with the line that is to be added.
  card.write(
    "firstrun.sh",
    `#!/bin/sh\nset +e\nsh "$(dirname "$0")/bramble-first-boot.sh"\nrm -f ${boot}/firstrun.sh\nexit 0\n`,
  );
  const plan = { memory_MiB: 1024, cpus: 2, bare: false, hostname: "kitchen", shares: {}, disks: [card.image] };
  await vm.create({ ...plan, files: { "/etc/fstab": card.fstab } }, console.log);
});

afterAll(async () => {
  await vm.remove();
  rmSync(dir, { recursive: true });
});

test("is armed before there is a network, and restarts with the token still on its card", async () => {
  await vm.runOnce([
    `systemd.run=${boot}/firstrun.sh`,
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
  ]);
  expect(card.read("bramble-first-boot.log")).toMatch(/^\S+ armed: this board joins by itself[^\n]*\n$/);
  expect(card.read("bramble.conf")).toBe(settings);
  expect(vm.fileOnDisk("/etc/systemd/system/bramble-first-boot.service")).toContain("first-boot.sh run");
});
