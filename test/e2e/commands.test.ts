import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { scratchImageArchive } from "#agent/runtime/scratch-image.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { busyboxArchive } from "../support/dockerd.ts";
import { image, startCluster, type TestCluster, webApp } from "./board-cluster.ts";

setDefaultTimeout(400_000);

const patience_s = 180;
const foreign = "docker.io/bramble-test/foreign:1";

describe("what people run by hand, and what images tell them", () => {
  let it: TestCluster;
  const untilReady = (name: string): Promise<unknown> =>
    it.until(/^True$/, "get", "node", name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`);
  const eventsOf = (pod: string): string[] => [
    ...["get", "events", "--field-selector", `involvedObject.name=${pod}`, "-o"],
    "jsonpath={range .items[*]}{.type} {.reason} {.message}{'\\n'}{end}",
  ];
  const waitingOf = (pod: string): string[] => [
    ...["get", "pod", pod, "-o"],
    "jsonpath={.status.containerStatuses[0].state.waiting.reason}",
  ];
  const pod = (name: string, image: string, more: object = {}): object => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "main", image, ...more }] },
  });
  /** Puts a file where the master's board has it under the path that is given back. */
  const onMaster = (name: string, content: Uint8Array): string => {
    const path = `/var/lib/bramble/${name}`;
    writeFileSync(it.cluster.file("master-1", path), content);
    return path;
  };

  beforeAll(async () => {
    it = await startCluster({ name: "hand", workers: 2 });
    await Promise.all([untilReady("worker-1"), untilReady("worker-2")]);
  });
  afterAll(() => it.stop());

  test("images load puts an archive on every board", async () => {
    const reference = "docker.io/bramble-test/extra:1";
    const archive = onMaster("extra.tar", busyboxArchive(reference));
    const { code, stdout } = await it.bramble("master-1", "images", "load", archive);
    expect(code).toBe(0);
    for (const board of ["worker-1", "worker-2"]) {
      expect(stdout).toContain(board);
      const images = it.cluster.host(board).exec(["docker", "-H", "unix:///run/docker.sock", "images"]);
      expect(images).toContain("bramble-test/extra");
    }
    const missing = await it.bramble("master-1", "images", "load", "/nothing.tar");
    expect([missing.code, missing.stderr.trim()]).toEqual([1, "bramble: /nothing.tar: no such file"]);
    const nowhere = await it.bramble("master-1", "images", "load", archive, "--node", "nobody");
    expect([nowhere.code, nowhere.stderr.trim()]).toEqual([
      1,
      "bramble: no board is named nobody; there are: worker-1, worker-2",
    ]);
  });

  test("an image for another processor, and one that is nowhere, are told of in events", async () => {
    const architecture = process.arch === "arm64" ? "amd64" : "arm64";
    const entries = [{ path: "hello", mode: 0o755, content: "not for this processor" }];
    const config = { Cmd: ["/hello"] };
    const archive = onMaster("foreign.tar", scratchImageArchive({ reference: foreign, architecture, entries, config }));
    expect((await it.bramble("master-1", "images", "load", archive)).code).toBe(0);
    it.apply([pod("foreign", foreign), pod("absent", "docker.io/bramble-test/absent:1")]);
    const own = architecture === "arm64" ? "amd64" : "arm64";
    await it.until(
      (events) => events.includes(`image ${foreign} is for linux/${architecture}, this board is linux/${own}`),
      ...eventsOf("foreign"),
    );
    await it.until(/^(ErrImagePull|ImagePullBackOff)$/, ...waitingOf("foreign"));
    await it.until(/^ErrImagePull|ImagePullBackOff$/, ...waitingOf("absent"));
    await it.until(
      /^Warning Failed Failed to pull image "docker.io\/bramble-test\/absent:1": ./m,
      ...eventsOf("absent"),
    );
    await it.until(/^ImagePullBackOff$/, ...waitingOf("absent"));
    await it.until(/^Normal BackOff Back-off pulling image/m, ...eventsOf("absent"));
    it.kubectl("delete", "pod", "foreign", "absent");
  });

  test("status shows boards and pods that are not well", async () => {
    it.apply([pod("well", image, { command: ["sleep", "1000"] }), pod("unwell", "docker.io/bramble-test/absent:1")]);
    await it.until(/^Running$/, "get", "pod", "well", "-o", "jsonpath={.status.phase}");
    await it.until(/^ImagePullBackOff$/, ...waitingOf("unwell"));
    const { code, stdout } = await it.bramble("master-1", "status");
    expect(code).toBe(0);
    expect(stdout).toContain("2 boards:");
    expect(stdout).toMatch(/worker-1, Ready, \d pods?\b/);
    expect(stdout).toContain("2 pods, 1 of them not well");
    expect(stdout).toMatch(/default\/unwell: Pending, (ErrImagePull|ImagePullBackOff)/);
    const elsewhere = await it.bramble("worker-1", "status");
    expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringContaining("Run this on a master as root")]);
    it.kubectl("delete", "pod", "well", "unwell");
  });

  test("tokens are made, listed without their secrets, and deleted", async () => {
    const run = (...args: string[]) => it.bramble("master-1", "token", ...args);
    const made = await run("create", "--description", "for the shed", "--ttl", "600");
    const [, id = "", secret = ""] = /^BR1[0-9a-f]{64}::([a-z0-9]{6})\.([a-z0-9]{16})\n$/.exec(made.stdout) ?? [];
    expect(id).not.toBe("");
    const line = (await run("create", "--print-join")).stdout;
    const url = `https://${it.prefix}.11:6443`;
    expect(line).toMatch(
      /^curl -sSfk --pinnedpubkey 'sha256\/\/[^']+' \S+ \| sudo BRAMBLE_\S+ .*BRAMBLE_TOKEN=BR1\S+ sh -\n$/,
    );
    expect(line).toContain(` ${url}/install.sh | sudo BRAMBLE_URL=${url} `);
    // The pin is the server's own key: curl takes it. The answer itself depends on what the master hands out.
    const pinned = /--pinnedpubkey '([^']+)'/.exec(line)?.[1] ?? "";
    const curl = Bun.spawnSync(["curl", "-sk", "--pinnedpubkey", pinned, `${url}/version`]);
    expect([curl.exitCode, curl.stdout.toString()]).toEqual([0, expect.stringContaining("gitVersion")]);
    const listed = (await run("list")).stdout;
    expect(listed).toMatch(new RegExp(`^${id}\tboard\t20\\S+Z\tfor the shed$`, "m"));
    expect(listed).not.toContain(secret);
    expect((await run("delete", id)).code).toBe(0);
    expect((await run("list")).stdout).not.toContain(id);
    const again = await run("delete", id);
    expect([again.code, again.stderr.trim()]).toEqual([
      1,
      `bramble: no token has the id ${id}; \`bramble token list\` shows them`,
    ]);
  });

  test("store get reads the store of a master that runs and of one that does not", async () => {
    it.kubectl("create", "secret", "generic", "kept", "--from-literal=key=value");
    it.kubectl("create", "configmap", "plain", "--from-literal=key=value");
    const host = it.cluster.host("master-1");
    const get = (...args: string[]) => it.bramble("master-1", "store", "get", ...args);
    const look = async (): Promise<unknown> => {
      const keys = await get("/registry/", "--prefix", "--keys-only");
      const secret = await get("/registry/secrets/default/kept");
      const map = await get("/registry/configmaps/default/plain");
      const nothing = await get("/registry/configmaps/default/nothing");
      expect([keys.code, secret.code, map.code, nothing.code]).toEqual([0, 0, 0, 1]);
      expect(nothing.stderr.trim()).toBe("nothing at /registry/configmaps/default/nothing");
      // Decrypted, as the API server stored it.
      expect(JSON.parse(secret.stdout)).toMatchObject({ kind: "Secret", data: { key: btoa("value") } });
      expect(JSON.parse(map.stdout)).toMatchObject({ kind: "ConfigMap", data: { key: "value" } });
      const names = keys.stdout.trim().split("\n");
      expect(names).toEqual([...names].sort());
      expect(names).toContain("/registry/namespaces/default");
      return secret.stdout;
    };
    const running = await look();
    await host.stopBramble("SIGTERM");
    expect(await look()).toEqual(running);
    host.startBramble();
    await it.until(/ok/, "get", "--raw", "/readyz");
  });

  test("kubectl is run as the administrator, or its absence explained", async () => {
    const kubectl = await it.bramble("master-1", "kubectl", "get", "nodes", "--no-headers");
    if (Bun.which("kubectl", { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }) !== null) {
      expect(kubectl.stdout).toContain("worker-1");
    } else
      expect([kubectl.code, kubectl.stderr]).toEqual([1, expect.stringContaining("kubectl is not installed here")]);
    const host = it.cluster.host("master-1");
    const without = Bun.spawnSync(
      host.inside(["env", "PATH=/nowhere", it.cluster.plan.binary, "kubectl", "get", "nodes"]),
    );
    expect(without.exitCode).toBe(1);
    expect(without.stderr.toString()).toMatch(/^bramble: kubectl is not installed here\. /);
  });

  test("a board that leaves takes its pods' places elsewhere, and does not come back", async () => {
    it.apply(webApp("mover", 4));
    it.kubectl("rollout", "status", "deployment/mover", "--timeout=180s");
    const worker = it.cluster.host("worker-2");
    const { code, stdout, stderr } = await it.bramble(
      "worker-2",
      ...["worker", "leave"],
      ...worker.board.args.slice(1),
    );
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toContain("worker-2 has left the cluster");
    await waitFor("the agent's end", patience_s, () => (worker.bramblePid === undefined ? true : undefined));
    expect(it.kubectl("get", "nodes", "-o", "name").trim()).toBe("node/worker-1");
    await it.until(/^4$/, "get", "deployment", "mover", "-o", "jsonpath={.status.availableReplicas}");
    await it.until(
      /^(worker-1 ?){4}$/,
      ...["get", "pods", "-l", "app=mover", "-o", "jsonpath={.items[*].spec.nodeName}"],
    );
    await it.until(/^lease.coordination.k8s.io\/worker-1$/m, "get", "leases", "-n", "kube-node-lease", "-o", "name");
    await it.until((leases) => !leases.includes("worker-2"), "get", "leases", "-n", "kube-node-lease", "-o", "name");
    expect(existsSync(it.cluster.file("worker-2", "/var/lib/bramble/agent/identity"))).toBe(false);
    // Started again it has no identity: without a token it does not come back.
    const again = await it.bramble("worker-2", ...worker.board.args);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("this board has not joined a cluster yet")]);
    expect(it.kubectl("get", "nodes", "-o", "name").trim()).toBe("node/worker-1");
  });
});
