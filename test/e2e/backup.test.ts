/** A cluster out of a backup, and one that moves to etcd: boards and their pods come back to it as if nothing had been. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { etcdctlArgs, startEtcd, storeArgs } from "#tools/local-cluster/etcd.ts";
import { image, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(600_000);

let c: TestCluster;
beforeAll(async () => {
  c = await startCluster({ name: "bak", workers: 1 });
});
afterAll(() => c?.stop());

const pod = (name: string) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name },
  spec: { containers: [{ name: "web", image, imagePullPolicy: "Never", command: ["sleep", "100000"] }] },
});

const identityOf = (name: string): Promise<string> =>
  c.until(
    /^\S+ docker:\S+ 0 Running$/,
    "get",
    "pod",
    name,
    "-o",
    "jsonpath={.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount} {.status.phase}",
  );

async function onMaster(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await c.bramble("master-1", ...args);
  expect([code, stderr.replace(/^WARN.*\n/gm, "")]).toEqual([0, ""]);
  return stdout;
}

async function whileStopped(work: () => Promise<void>): Promise<void> {
  const master = c.cluster.host("master-1");
  await master.stopBramble("SIGTERM");
  await work();
  master.startBramble();
  await c.cluster.ready(master.board);
}

test("a master that is alone asks nobody who leads: it keeps no Lease but those of boards", () => {
  expect(c.kubectl("get", "leases", "-n", "kube-system", "-o", "name")).toBe("");
});

test("a restored cluster adopts its pods", async () => {
  c.apply(pod("before"));
  const identity = await identityOf("before");
  await onMaster("backup", "/var/lib/bramble/cluster.gz");
  c.kubectl("create", "configmap", "later");
  await whileStopped(async () => {
    // As on a new machine.
    c.cluster.host("master-1").exec(["sh", "-c", "cd /var/lib/bramble && rm -r pki store token"]);
    expect(await onMaster("restore", "/var/lib/bramble/cluster.gz")).toContain("Start the master");
  });
  expect(() => c.kubectl("get", "configmap", "later")).toThrow(/not found/);
  await c.until(/worker-1 +Ready/, "get", "nodes");
  c.apply(pod("after-restore"));
  await identityOf("after-restore");
  expect(await identityOf("before")).toBe(identity);
});

test("a new machine takes a lost master's place out of a backup, and adopts the pods", async () => {
  const identity = await identityOf("before");
  const file = "/var/lib/bramble/kept.gz";
  await onMaster("backup", file);
  const master = c.cluster.host("master-1");
  const copy = readFileSync(c.cluster.file("master-1", file));
  // Off for good with all that it had, keys and machine ID too; another board comes to its address.
  await master.remove();
  rmSync(master.dir, { recursive: true });
  await master.powerOn();
  expect(master.read("/var/lib/bramble/token")).toBeUndefined();
  mkdirSync(dirname(c.cluster.file("master-1", file)), { recursive: true });
  writeFileSync(c.cluster.file("master-1", file), copy, { mode: 0o600 });
  expect(await onMaster("restore", file)).toContain("Start the master");
  master.startBramble();
  await c.cluster.ready(master.board);
  await c.until(/worker-1 +Ready/, "get", "nodes");
  c.apply(pod("on-a-new-master"));
  await identityOf("on-a-new-master");
  expect(await identityOf("before")).toBe(identity);
  expect(await identityOf("after-restore")).toContain("Running");
});

test("a cluster that moves to etcd keeps its pods, and so it does on its way back", async () => {
  const identity = await identityOf("before");
  const master = c.cluster.host("master-1");
  const boards = [master.board];
  startEtcd(master, storeArgs);
  await whileStopped(async () => {
    expect(await onMaster("store", "move", "etcd")).toContain("objects were moved from sqlite to etcd");
  });
  expect(master.exec([...etcdctlArgs(boards), "get", "/registry/pods", "--prefix", "--keys-only"])).toContain("before");
  await c.until(/worker-1 +Ready/, "get", "nodes");
  c.apply(pod("on-etcd"));
  await identityOf("on-etcd");
  expect(await identityOf("before")).toBe(identity);

  await whileStopped(async () => {
    expect(await onMaster("store", "move", "sqlite")).toContain("the old store is kept as");
  });
  await c.until(/worker-1 +Ready/, "get", "nodes");
  c.apply(pod("on-sqlite"));
  await identityOf("on-sqlite");
  expect(await identityOf("before")).toBe(identity);
  await identityOf("on-etcd");
});
