/** Bramble's own etcd as its members come and go: five masters of which two are lost, one that leaves, one whose disk is new. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { isAlreadyExists } from "#shared/api/errors.ts";
import { configMaps, endpointSlices } from "#shared/api/resources.ts";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { until as untilSo } from "#shared/testing/until.ts";
import { patience_s, startCluster, type TestCluster } from "./board-cluster.ts";
import { Writers } from "./writer.ts";

setDefaultTimeout(900_000);

const membersOf = async (c: TestCluster, board = "master-1"): Promise<string[]> => {
  const { code, stdout, stderr } = await c.bramble(board, "etcd", "members");
  if (code !== 0) throw new Error(stderr);
  return stdout.trim().split("\n");
};

const until: typeof untilSo = (what, look) => untilSo(what, look, { patience_ms: patience_s * 1000, every_ms: 300 });

/** A board's address changes; its member of etcd, one of so many, is known at the new one, also once `lost` is gone. */
async function expectToGoOnElsewhere(
  c: TestCluster,
  name: string,
  { members, lost }: { readonly members: number; readonly lost?: string },
): Promise<void> {
  const host = c.cluster.host(name);
  const [former, now] = [host.board.address, `${c.prefix}.77`];
  const pids = (): string => host.exec(["cat", "/run/bramble/etcd.pid", "/run/bramble/master.pid"]);
  const before = pids();
  host.exec(["ip", "addr", "del", `${former}/24`, "dev", "eth0"]);
  host.exec(["ip", "addr", "add", `${now}/24`, "dev", "eth0"]);
  host.exec(["ip", "route", "replace", "default", "via", `${c.prefix}.254`]);
  const { credentials } = loadKubeconfig(c.kubeconfig);
  const client = new HttpClient({ servers: [`https://${now}:6443`], credentials, timeout_ms: 15_000 });
  const wrote = (mark: string): Promise<unknown> =>
    until(`a write by way of it: ${mark}`, () =>
      client
        .create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata: { name: mark, namespace: "default" } })
        .catch((error: unknown) => (isAlreadyExists(error) ? true : undefined)),
    );
  await until("its member is told where it is", async () => {
    const known = await membersOf(c, name).catch(() => []);
    const well = known.filter((line) => /, (well|leads), etcd 3/.test(line));
    return (well.length === members && well.some((line) => line.includes(`https://${now}:2379`))) || undefined;
  });
  await wrote("moved");
  if (lost !== undefined) {
    c.cluster.killEtcd(lost);
    await wrote("counted-on");
  }
  expect(pids()).toBe(before);
  // A restart finds the member where it is now.
  c.cluster.killEtcd(name);
  c.cluster.startEtcd(name);
  host.exec([host.binary, "etcd", "ready", "--wait", "120"]);
  await wrote("restarted");
}

describe("five masters", () => {
  const names = ["master-1", "master-2", "master-3", "master-4", "master-5"] as const;
  let c: TestCluster;
  let client: HttpClient;
  const addressOf = (name: string): string => c.cluster.host(name).board.address;

  beforeAll(async () => {
    c = await startCluster({ name: "mem", masters: names.length, workers: 0 });
    const { credentials } = loadKubeconfig(c.kubeconfig);
    const servers = names.map((name) => `https://${addressOf(name)}:6443`);
    client = new HttpClient({ servers, credentials, timeout_ms: 15_000 });
  });
  afterAll(() => c?.stop());

  const start = async (name: string, joining: readonly string[] = []): Promise<void> => {
    c.cluster.startEtcd(name, joining);
    c.cluster.host(name).startBramble(joining);
    await c.cluster.ready(c.cluster.host(name).board);
  };
  const kill = async (name: string): Promise<void> => {
    await Promise.all([c.cluster.host(name).stopBramble("SIGKILL"), c.cluster.killEtcd(name)]);
  };
  const joining = (): string[] => {
    const host = c.cluster.host("master-1");
    return ["--token", host.exec([host.binary, "token", "create", "--master"]).trim()];
  };
  const endpoints = async (): Promise<string[]> => {
    const slice = await client.get(endpointSlices, { namespace: "default", name: "kubernetes" });
    return slice.endpoints.flatMap(({ addresses }) => addresses).sort();
  };
  /** Each of the masters shows what was written by way of the first. */
  const agree = async (masters: readonly string[], mark: string): Promise<void> => {
    c.kubectl("create", "configmap", mark);
    for (const name of masters) c.kubectl("--server", `https://${addressOf(name)}:6443`, "get", "configmap", mark);
  };

  test("are members that all vote, and each knows all of them", async () => {
    for (const name of names) {
      const members = await membersOf(c, name);
      expect(members.filter((line) => /, (well|leads), etcd 3/.test(line))).toHaveLength(names.length);
    }
  });

  test("go on under writes when any two boards are lost at once", async () => {
    const writers = new Writers(client, ["a", "b"]);
    await writers.more(20);
    const lost = [...names].sort(() => Math.random() - 0.5).slice(0, 2);
    await Promise.all(lost.map(kill));
    const pause_ms = await writers.more(40);
    console.log(`${lost.join(" and ")} lost; writes went on after ${Math.round(pause_ms)} ms`);
    await until("the lost ones leave the kubernetes Service", async () =>
      (await endpoints()).length === names.length - lost.length ? true : undefined,
    );
    for (const name of lost) await start(name);
    await writers.more(20);
    await writers.end();
    await agree(names, "after-two");
  });

  test("take one back whose disk is new, by a token, and only as a member that catches up first", async () => {
    await kill("master-5");
    const host = c.cluster.host("master-5");
    host.exec(["sh", "-c", "rm -r /var/lib/bramble/* /etc/bramble/*"]);
    await start("master-5", joining());
    host.exec([host.binary, "etcd", "ready", "--wait", "120"]);
    expect((await membersOf(c)).filter((line) => /, (well|leads), etcd 3/.test(line))).toHaveLength(names.length);
    await agree(names, "after-new-disk");
  });

  test("take one back whose etcd alone was lost, without anything from a person", async () => {
    await kill("master-4");
    const host = c.cluster.host("master-4");
    host.exec(["rm", "-r", "/var/lib/bramble/etcd"]);
    await start("master-4");
    host.exec([host.binary, "etcd", "ready", "--wait", "120"]);
    await agree(names, "after-lost-data");
  });

  test("let one leave in good order, which forgets the cluster's keys, and take it back", async () => {
    const { code, stdout, stderr } = await c.bramble("master-5", "master", "leave", "--no-agent");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("this master has left the cluster");
    const host = c.cluster.host("master-5");
    // What the leave ended, and what is left of it there.
    await host.stopBramble("SIGTERM");
    expect(
      host
        .exec(["find", "/var/lib/bramble", "-type", "f"])
        .split("\n")
        .filter((path) => /pki|etcd/.test(path)),
    ).toEqual([]);
    expect(await membersOf(c)).toHaveLength(names.length - 1);
    await until("it leaves the kubernetes Service", async () =>
      (await endpoints()).includes(addressOf("master-5")) ? undefined : true,
    );
    await start("master-5", joining());
    host.exec([host.binary, "etcd", "ready", "--wait", "120"]);
    await agree(names, "after-return");
  });

  test("take a lost board's member out at a person's word", async () => {
    await kill("master-5");
    const { code, stdout } = await c.bramble("master-1", "etcd", "remove", "master-5");
    expect([code, stdout]).toEqual([0, expect.stringContaining("no member of etcd any more")]);
    await agree(names.slice(0, 4), "after-removal");
  });

  test("count on the member of one that gets another address, which goes on there without a restart", () =>
    // With one of four gone, nothing is written without any of the others.
    expectToGoOnElsewhere(c, "master-4", { members: 4, lost: "master-2" }));
});

describe("a master that is alone over etcd", () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await startCluster({ name: "adr", masters: 1, workers: 0, etcd: true });
  });
  afterAll(() => c?.stop());

  test("gets another address, and its member goes on there without a restart", () =>
    expectToGoOnElsewhere(c, "master-1", { members: 1 }));
});

describe("an etcd that is full", () => {
  let c: TestCluster;
  beforeAll(async () => {
    c = await startCluster({
      name: "ful",
      workers: 0,
      etcd: true,
      masterArgs: ["--etcd-quota", "24Mi"],
    });
  });
  afterAll(() => c?.stop());
  const value = (size: number): string => crypto.getRandomValues(Buffer.alloc(size / 2)).toString("hex");

  test("refuses writes in plain words, and gets room again by itself when it was full of history", async () => {
    const name = "large";
    const created = await c.client.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name, namespace: "default" },
      data: {},
    });
    let refusal: Error | undefined;
    let written = created;
    // Far more than fits, all of it history but the last.
    for (let time = 0; time < 200 && !refusal; time += 1) {
      try {
        written = await c.client.update(configMaps, { ...written, data: { text: value(500_000) } });
      } catch (error) {
        refusal = error as Error;
      }
    }
    expect(refusal?.message).toContain("etcd is full");
    await until("writes are taken again", async () => {
      try {
        const present = await c.client.get(configMaps, { namespace: "default", name });
        return await c.client.update(configMaps, { ...present, data: { text: "small" } });
      } catch (error) {
        if (!(error as Error).message.includes("etcd is full")) throw error;
        return undefined;
      }
    });
    const [member] = await membersOf(c);
    expect(member).not.toContain("alarm");
    await until("it says so", () => c.cluster.host("master-1").log(200).includes("etcd has room again"));
  });
});
