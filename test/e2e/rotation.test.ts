import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { nodes } from "#shared/api/resources.ts";
import { startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(600_000);

describe("rotating the cluster's keys under three masters and real boards", () => {
  let it: TestCluster;
  /** Nodes that were seen not ready, by name. */
  const unready = new Set<string>();
  const watching = new AbortController();
  const master = (...args: string[]) => it.bramble("master-1", ...args);
  const readyOf = (name: string): string[] => [
    ...["get", "node", name, "-o"],
    `jsonpath={.status.conditions[?(@.type=="Ready")].status}`,
  ];
  const restartsOf = [
    "get",
    "pods",
    "-l",
    "app=web",
    "-o",
    "jsonpath={.items[*].status.containerStatuses[0].restartCount}",
  ];
  const podOn = (board: string): string =>
    it
      .kubectl(
        "get",
        "pods",
        "-l",
        "app=web",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name} {.spec.nodeName}\n{end}",
      )
      .split("\n")
      .flatMap((line) => (line.endsWith(` ${board}`) ? [line.split(" ")[0] ?? ""] : []))[0] ?? "";
  const authorityOf = (board: string): string | undefined =>
    it.cluster.host(board).exec(["sha256sum", "/var/lib/bramble/pki/ca.crt"]).split(" ")[0];
  /** One step may take longer than a command on a board is let run: then it is run again, and goes on. */
  const rotate = async (...args: string[]): Promise<string> => {
    let said = "";
    for (let attempt = 1; ; attempt++) {
      const { code, stdout, stderr } = await master(...args);
      said += stdout;
      if (code === 0) return said;
      if (attempt === 5) throw new Error(`${args.join(" ")}: ${code}\n${said}\n${stderr}`);
    }
  };

  beforeAll(async () => {
    it = await startCluster({ name: "keys", masters: 3, workers: 3 });
    for (const name of ["worker-1", "worker-2", "worker-3"]) await it.until(/^True$/, ...readyOf(name));
    it.apply(webApp("web", 4));
    it.kubectl("rollout", "status", "deployment/web", "--timeout=180s");
  });
  afterAll(async () => {
    watching.abort();
    await it.stop();
  });

  test("leaves every board ready and every pod as it was", async () => {
    await it.cluster.host("worker-3").cut();
    await it.until(/^Unknown$|^False$/, ...readyOf("worker-3"));
    // A master that is away as well: nobody waits for it once it is out of the list.
    await it.cluster.host("master-3").stopBramble("SIGKILL");
    const serving = ["get", "endpointslice", "kubernetes", "-o", "jsonpath={.endpoints[*].addresses[0]}"];
    await it.until((output) => output.trim().split(" ").length === 2, ...serving);
    const observing = observe();
    const said = await rotate("certificate", "rotate-ca");
    expect(said).toContain("step 2 of 3");
    expect(said).toContain("worker-3");
    await rotate("certificate", "rotate-ca", "--finish");
    // Read anew: this one holds a certificate by the former CA.
    it.cluster.copyKubeconfig(it.kubeconfig);
    for (const board of ["worker-1", "worker-2"]) {
      await it.until(/started/, "logs", podOn(board));
      await it.until(/works/, "exec", podOn(board), "--", "echo", "works");
    }
    expect(authorityOf("master-2")).toBe(authorityOf("master-1"));
    expect(authorityOf("master-3")).not.toBe(authorityOf("master-1"));
    expect(unready.size).toBe(0);
    expect(it.kubectl(...restartsOf)).toMatch(/^[0 ]+$/);
    watching.abort();
    await observing;
  });

  test("is made up for by the master that was away, before it serves", async () => {
    it.cluster.host("master-3").startBramble();
    const server = `https://${it.cluster.host("master-3").board.address}:6443`;
    await it.until(/ok/, "--server", server, "get", "--raw", "/readyz");
    expect(authorityOf("master-3")).toBe(authorityOf("master-1"));
  });

  test("does not shut out the board that had no power meanwhile", async () => {
    const worker = it.cluster.host("worker-3");
    await worker.powerOn();
    worker.startBramble();
    await it.until(/^True$/, ...readyOf("worker-3"));
    const listed = await it.bramble("worker-3", "certificate", "list");
    expect(listed.stdout).toContain("system:node:worker-3");
  });

  test("ends with certificates renewed on a board while it runs", async () => {
    const before = await it.bramble("worker-1", "certificate", "list");
    const { code, stdout, stderr } = await it.bramble("worker-1", "certificate", "renew");
    expect([code, stderr, stdout]).toEqual([0, "", "this board's certificates were renewed\n"]);
    const after = await it.bramble("worker-1", "certificate", "list");
    expect(after.stdout).not.toBe(before.stdout);
    await it.until(/works/, "exec", podOn("worker-1"), "--", "echo", "works");
  });

  test("puts all Secrets in etcd under another key, on every master", async () => {
    it.kubectl("create", "secret", "generic", "kept", "--from-literal=word=plain");
    const said = await rotate("encryption", "rotate");
    expect(said).toContain("step 4 of 4");
    const marks = it.cluster
      .etcdctl("get", "/registry/secrets/", "--prefix", "--print-value-only")
      .split("\n")
      .flatMap((value) => /^bramble:aesgcm:v1:([0-9a-f]{8}):/.exec(value)?.[1] ?? []);
    expect(marks.length).toBeGreaterThan(1);
    expect(new Set(marks).size).toBe(1);
    for (const name of ["master-1", "master-2", "master-3"]) {
      const { address } = it.cluster.host(name).board;
      const server = `https://${address}:6443`;
      const text = it.kubectl("--server", server, "get", "secret", "kept", "-o", "jsonpath={.data.word}");
      expect(Buffer.from(text, "base64").toString()).toBe("plain");
    }
  });

  /** Notes boards that are not ready, but for the one without power. */
  async function observe(): Promise<void> {
    while (!watching.signal.aborted) {
      try {
        for await (const { object } of it.client.watch(nodes, { signal: watching.signal })) {
          const ready = object.status?.conditions?.find(({ type }) => type === "Ready")?.status;
          const name = object.metadata.name ?? "";
          if (name !== "worker-3" && ready !== "True") unready.add(name);
        }
      } catch {
        // Ended by the master when the watcher's own certificate is taken no more; the client reads its kubeconfig anew.
        await Bun.sleep(1_000);
      }
    }
  }
});
