import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { CommandError, run, waitFor } from "#tools/local-cluster/run.ts";
import { Vm } from "#tools/local-cluster/vm.ts";

/** A Debian 13 whose hardware clock shows 1970 at each power-on and that no time server answers, as a Raspberry Pi without
 *  network. BRAMBLE_GUEST_LOG names a file for the journal in the end. */
setDefaultTimeout(7_200_000);
const patience_s = 2_400;
const root = resolve(import.meta.dir, "../..");
const dir = mkdtempSync("/var/tmp/bramble-guest-");
const vm = new Vm(join(dir, "guest"));

const inGuest = (line: string): string => run(vm.inside(["sh", "-c", line]));
const now_s = (): number => Number(inGuest("date +%s"));
const lifted = (): string => inGuest("journalctl --boot --unit=bramble-master | grep 'put forward' || true");
/** By a client in the guest, which judges the master's certificate by the guest's clock. */
const untilReady = (): Promise<boolean> =>
  waitFor("the board", patience_s, async () => {
    try {
      if (inGuest("bramble status").includes("clockless, Ready")) return true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
    await Bun.sleep(2_000);
    return undefined;
  });

beforeAll(async () => {
  const shares = { checkout: root };
  const hardwareClock = "1970-01-01T00:00:00";
  await vm.create(
    { memory_MiB: 2048, cpus: 2, bare: false, hostname: "clockless", hardwareClock, shares },
    console.log,
  );
  await vm.powerOn();
});

afterAll(async () => {
  const log = process.env["BRAMBLE_GUEST_LOG"];
  if (log !== undefined && vm.powered) writeFileSync(log, inGuest("journalctl --no-pager -o short-monotonic"));
  if (vm.exists) await vm.remove();
  rmSync(dir, { recursive: true });
});

describe("a board whose clock begins at 1970", () => {
  test("installs, and its first certificates are good by its own clock", async () => {
    // systemd lifts it to its own making; no time server does more.
    inGuest("systemctl stop systemd-timesyncd; systemctl disable systemd-timesyncd 2>/dev/null; date -s 1970-01-02");
    inGuest("cp -r /mnt/checkout/dist /root/release");
    expect(inGuest(`INSTALL_BRAMBLE_WAIT=${patience_s} /root/release/install.sh`)).toContain("this board is its Node");
    await untilReady();
    expect(lifted()).toContain("was=1970-01-02");
    expect(now_s()).toBeGreaterThan(Date.parse("2026-01-01T00:00:00Z") / 1000);
  });

  test("after a power cut takes up the time at which it was cut", async () => {
    inGuest("date -s '+1 day' && touch /var/lib/bramble/token && sync");
    const before_s = now_s();
    await vm.cut();
    await vm.powerOn();
    await untilReady();
    expect(lifted()).toContain("was=");
    expect(now_s()).toBeGreaterThanOrEqual(before_s);
  });
});
