import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type InitramfsFile, initramfs } from "#tools/local-cluster/initramfs.ts";
import { vmImage } from "#tools/local-cluster/vm-image.ts";

setDefaultTimeout(3_600_000);
const patience_ms = 1_800_000;
const binary = resolve(process.env["BRAMBLE_BINARY"] ?? join(import.meta.dir, "../../dist/bramble-linux-x64"));
const libraries = ["libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6"];

/**
 * Boots with a clock that shows 1970: twice on one disk, of which the second start finds files of a day later. `bramble status`
 * is a client that judges the master's certificate by this clock.
 */
const init = `#!/bin/busybox sh
export PATH=/bin HOME=/
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs tmp /tmp; mount -t tmpfs run /run
hostname clockless; ip link set lo up; ip address add 10.9.9.9/32 dev lo
begin() {
  /bin/bramble master --no-agent --advertise-address 10.9.9.9 --data-dir /data --write-kubeconfig /tmp/kubeconfig >/tmp/log 2>&1 &
  master=$!
  until said=$(/bin/bramble status --kubeconfig /tmp/kubeconfig --data-dir /data 2>&1); do
    kill -0 $master 2>/dev/null || { cat /tmp/log; poweroff -f; }
    echo "$1 waits: $said"
    sleep 2
  done
  echo "$1 serves at $(date +%s)"
  grep clock: /tmp/log
}
echo "first boot at $(date +%s)"
begin first
kill $master; wait $master
date -s "@$(($(date +%s) + 86400))"
touch /data/pki/ca.crt
echo "files of $(date +%s)"
date -s @3600
echo "second boot at $(date +%s)"
begin second
echo finished
poweroff -f
`;

describe("a machine whose clock shows 1970 at each boot", () => {
  const dir = mkdtempSync("/var/tmp/bramble-clock-");
  let said = "";
  const number = (pattern: RegExp): number => Number(pattern.exec(said)?.[1]);

  beforeAll(async () => {
    const program = (path: string, content: Uint8Array): InitramfsFile => ({ path, kind: "program", content });
    const folders = ["bin", "lib64", "lib", "lib/x86_64-linux-gnu", "proc", "sys", "dev", "tmp", "run", "data"];
    const files: InitramfsFile[] = [
      ...folders.map((path): InitramfsFile => ({ path, kind: "folder" })),
      program("init", Buffer.from(init)),
      program("bin/busybox", readFileSync("/usr/bin/busybox")),
      program("bin/bramble", readFileSync(binary)),
      program("lib64/ld-linux-x86-64.so.2", readFileSync("/lib64/ld-linux-x86-64.so.2")),
      ...libraries.map((name) =>
        program(`lib/x86_64-linux-gnu/${name}`, readFileSync(`/lib/x86_64-linux-gnu/${name}`)),
      ),
    ];
    writeFileSync(join(dir, "initrd"), initramfs(files));
    const { kernel } = vmImage({ bare: false }, console.log);
    const guest = Bun.spawn({
      cmd: [
        ...[
          "qemu-system-x86_64",
          "-machine",
          "q35",
          "-accel",
          "tcg,thread=multi",
          "-cpu",
          "max",
          "-smp",
          "2",
          "-m",
          "1536",
        ],
        ...[
          "-rtc",
          "base=1970-01-01T00:00:00,clock=vm",
          "-display",
          "none",
          "-serial",
          "stdio",
          "-nic",
          "none",
          "-no-reboot",
        ],
        ...["-kernel", kernel, "-initrd", join(dir, "initrd"), "-append", "console=ttyS0 quiet panic=-1"],
      ],
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const timer = setTimeout(() => guest.kill("SIGKILL"), patience_ms);
    said = await new Response(guest.stdout).text();
    clearTimeout(timer);
    await guest.exited;
    if (!said.includes("finished")) throw new Error(`the guest did not get to its end:\n${said.slice(-4_000)}`);
  });
  afterAll(() => rmSync(dir, { recursive: true }));

  test("serves clients that go by its clock, which is put forward to the program's making", () => {
    expect(number(/first boot at (\d+)/)).toBeLessThan(86_400);
    expect(number(/first serves at (\d+)/)).toBeGreaterThan(Date.parse("2026-01-01T00:00:00Z") / 1000);
    expect(said).toContain("put forward to the newest time that is known");
  });

  test("after a power cut takes up the time of what it wrote last", () => {
    expect(number(/second boot at (\d+)/)).toBeLessThan(86_400);
    expect(number(/second serves at (\d+)/)).toBeGreaterThanOrEqual(number(/files of (\d+)/));
  });
});
