import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createLan, removeLan } from "#tools/local-cluster/lan.ts";
import { InstallBoard, takeLan } from "./install-board.ts";
import { expectSuccess, makeRelease, removeReleases } from "./release.ts";

/** Three masters by install.sh, each with its member of etcd; their state to sqlite and back; what an uninstall leaves. */
setDefaultTimeout(900_000);
const lan = await takeLan("ima");
const names = ["box-1", "box-2", "box-3"] as const;
const boards: InstallBoard[] = [];
let release = "";
/** Masters without pods of their own: quick to start. */
const flags = "master --no-agent";

beforeAll(async () => {
  release = makeRelease();
  createLan(lan);
  for (const [index, name] of names.entries())
    boards.push(await InstallBoard.start(lan, name, `${lan.prefix}.${11 + index}`));
});
afterAll(() => {
  for (const board of boards) board.stop();
  removeLan(lan);
  removeReleases();
});

async function on(index: number, line: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const board = boards[index];
  if (!board) throw new Error(`there is no board ${index}`);
  return expectSuccess(await board.run(line, env));
}
const memberPid = (index: number): Promise<string> =>
  on(index, "cut -d' ' -f1 /run/bramble/supervise/bramble-etcd.child");
const votes = /^box-\d, https:\S+, (well|leads), etcd 3/gm;

describe("install.sh", () => {
  test("brings up a master with a member of etcd beside it", async () => {
    const output = await on(0, `${release}/install.sh`, { INSTALL_BRAMBLE_EXEC: `${flags} --store etcd` });
    expect(output).toContain("starting bramble-etcd");
    expect(output).toContain("bramble token create --master --print-join");
    expect(await on(0, "bramble etcd members")).toMatch(votes);
    expect(await on(0, "cat /etc/bramble/config.yaml")).toContain('store: "etcd"');
  });

  test("brings up further masters by the line that the first prints, until their members vote", async () => {
    for (const index of [1, 2]) {
      const line = (await on(0, "bramble token create --master --print-join")).trim();
      const here = line.replace("| sudo ", "| env ").replace("EXEC=master", `EXEC='${flags}'`);
      expect(here).toContain("no-agent");
      expect(await on(index, here)).toContain("the cluster runs");
      expect((await on(0, "bramble etcd members")).match(votes)).toHaveLength(index + 1);
    }
    expect((await on(2, "bramble etcd members")).match(votes)).toHaveLength(names.length);
  });

  test("run again it changes nothing, and another flag restarts both programs", async () => {
    const before = await memberPid(0);
    expect(await on(0, `${release}/install.sh`)).toContain("nothing has changed");
    expect(await memberPid(0)).toBe(before);
    await on(0, `${release}/install.sh`, { INSTALL_BRAMBLE_EXEC: `${flags} --etcd-quota 256Mi` });
    expect(await memberPid(0)).not.toBe(before);
    expect(await on(0, "cat /var/lib/bramble/etcd/etcd.yaml")).toContain(`"quota-backend-bytes": ${256 * 1024 * 1024}`);
  });

  test("a member that dies is started again", async () => {
    await on(1, `kill -KILL ${await memberPid(1)}`);
    await on(1, "until bramble etcd ready; do sleep 0.2; done");
  });
});

describe("masters", () => {
  test("leave in good order until one is left", async () => {
    const { code, output } = (await boards[0]?.run("bramble store move sqlite")) ?? { code: 0, output: "" };
    expect([code, output]).toEqual([1, expect.stringContaining("run `bramble master leave` on each of them first")]);
    for (const index of [2, 1]) expect(await on(index, "bramble master leave --no-agent")).toContain("has left");
    // The one that is left elects itself.
    await on(0, "bramble etcd ready --wait 100");
    expect((await on(0, "bramble etcd members")).match(votes)).toHaveLength(1);
    expect(await on(1, "/usr/local/lib/bramble/supervise status; true")).not.toContain("bramble-");
  });

  test("move their state to sqlite in one command, and to etcd in another", async () => {
    const kubectl = "--cacert /var/lib/bramble/pki/ca.crt https://127.0.0.1:6443/readyz";
    const ready = `until curl -fsS -m 5 ${kubectl}; do sleep 0.2; done`;
    const uid = 'bramble store get /registry/namespaces/default | grep -o \'"uid":"[^"]*\'';
    const before = await on(0, uid);
    const back = await on(0, "bramble store move sqlite");
    expect(back).toContain("the master is started");
    await on(0, ready);
    expect(await on(0, uid)).toBe(before);
    expect(await on(0, "cat /etc/bramble/config.yaml")).toMatch(/store: "?sqlite/);
    expect(await on(0, "/usr/local/lib/bramble/supervise status")).not.toContain("bramble-etcd");
    expect(await on(0, "bramble store move etcd")).toContain("the master is started");
    await on(0, ready);
    expect(await on(0, uid)).toBe(before);
    expect(await on(0, "bramble etcd members")).toMatch(votes);
    expect(await on(0, `${release}/install.sh`)).toContain("nothing has changed");
  });
});

test("an uninstall leaves nothing", async () => {
  for (const index of names.keys()) {
    await on(index, "bramble-uninstall.sh");
    expect(await on(index, "ls -d /var/lib/bramble/* /etc/systemd/system/bramble-* 2>/dev/null; true")).toBe("");
    expect(await on(index, "ls /etc/bramble/supervised")).toBe("dockerd\n");
    expect(await on(index, "ps -eo args | grep -E '^(/usr/local/bin/bramble|/usr/bin/etcd)'; true")).toBe("");
  }
});
