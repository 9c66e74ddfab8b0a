import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { nodes } from "#shared/api/resources.ts";
import { parseJoinToken } from "#shared/pki/join-token.ts";
import { plugInGuest } from "#tools/local-cluster/lan.ts";
import { run, waitFor } from "#tools/local-cluster/run.ts";
import { Vm } from "#tools/local-cluster/vm.ts";
import { binary, startCluster, type TestCluster } from "../e2e/board-cluster.ts";
import { BootPartition } from "./boot-partition.ts";
import { patience_s } from "./patience.ts";

/**
 * A board without screen or keyboard: what lies on its card's boot partition makes it a Node of a master on its network, over the
 * restart that Raspberry Pi OS does after its first boot, and nothing by which another board could join stays on the card.
 */
setDefaultTimeout(7_200_000);
const boot = "/boot/firmware";
const release = resolve(binary, "..");
const address = 101;
const readiness = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';

let it: TestCluster;
let dir: string;
let card: BootPartition;
let vm: Vm;
let token: string;

/** Runs a shell line in the guest and gives what it printed. */
const inGuest = (line: string): string => run(vm.inside(["sh", "-c", line]));

beforeAll(async () => {
  it = await startCluster({ name: "card", workers: 0, masterArgs: ["--dist", release] });
  const master = it.cluster.host("master-1");
  token = master.exec([master.binary, "token", "create"]).trim();
  dir = mkdtempSync("/var/tmp/bramble-card-");
  card = new BootPartition(dir, "bootfs");
  card.copy(resolve(import.meta.dir, "../../systemd/bramble-first-boot.sh"));
  const settings = ["role=worker", `server=https://${it.prefix}.11:6443`, `token=${token}`, "label=disk=card"];
  card.write("bramble.conf", `${settings.join("\r\n")}\r\n`);
  card.write(
    "firstrun.sh",
    `#!/bin/sh\nset +e\nsh "$(dirname "$0")/bramble-first-boot.sh"\nrm -f ${boot}/firstrun.sh\nexit 0\n`,
  );
  plugInGuest(it.cluster.lan, "kitchen");
  vm = new Vm(join(dir, "guest"));
  await vm.create(
    {
      memory_MiB: 1024,
      cpus: 2,
      bare: false,
      hostname: "kitchen",
      shares: {},
      disks: [card.image],
      lan: { lan: it.cluster.lan, link: "kitchen", address: `${it.prefix}.${address}` },
      files: { "/etc/fstab": card.fstab },
    },
    console.log,
  );
});

afterAll(async () => {
  if (vm?.exists) await vm.remove();
  if (dir) rmSync(dir, { recursive: true });
  await it?.stop();
});

describe("a card with a settings file", () => {
  test("makes its board a Ready Node after the first boot's restart", async () => {
    await vm.runOnce([
      `systemd.run=${boot}/firstrun.sh`,
      "systemd.run_success_action=reboot",
      "systemd.unit=kernel-command-line.target",
    ]);
    expect(card.read("bramble.conf")).toContain(token);
    await vm.powerOn();
    await waitFor("the Node", patience_s, async () => {
      const { items } = await it.client.list(nodes);
      const ready = items.find(({ metadata }) => metadata.name === "kitchen")?.status?.conditions;
      return ready?.some(({ type, status }) => type === "Ready" && status === "True") || undefined;
    });
    const node = await it.client.get(nodes, { name: "kitchen" });
    expect(node.metadata.labels).toMatchObject({ disk: "card" });
    expect(node.status?.nodeInfo?.osImage).toContain("Debian GNU/Linux 13");
  });

  test("has no token any more, and nothing that would begin again", async () => {
    await waitFor("the end of the first boot", patience_s, async () => {
      const armed = inGuest("ls /etc/systemd/system/bramble-first-boot.service 2>/dev/null || true");
      const settings = inGuest("grep -rl BR1 /etc/bramble || true");
      return armed === "" && settings === "" ? true : undefined;
    });
    expect(inGuest(`cat ${boot}/bramble.conf`)).not.toContain("BR1");
    expect(inGuest(`cat ${boot}/bramble-first-boot.log`)).toMatch(
      /this board is Node kitchen and Ready[\s\S]*\n\S+ done: /,
    );
    expect(inGuest("find /var/lib /usr/local/lib -maxdepth 2 -name '*first-boot*'")).toBe("");
    expect(inGuest("cat /etc/bramble/config.yaml")).toContain("# The join token was removed");
  });

  test("is the same Node after a power cut, by its certificate", async () => {
    inGuest("sync");
    await vm.cut();
    await vm.powerOn();
    await waitFor("the unit", patience_s, async () =>
      inGuest("systemctl is-active bramble-worker || true").trim() === "active" ? true : undefined,
    );
    await it.until(/^True$/, "get", "node", "kitchen", "-o", readiness);
  });

  test("shows whoever steals it no secret of a token, in files or in blocks that were theirs", async () => {
    await vm.cut();
    const { secret } = parseJoinToken(token);
    expect(readFileSync(card.image).includes(secret)).toBe(false);
    // grep, for the disk is larger than a buffer may be.
    expect(run(["sh", "-c", `grep -c --binary-files=text -e ${secret} ${vm.disk} || true`]).trim()).toBe("0");
  });
});
