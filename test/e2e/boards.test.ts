import { afterAll, beforeAll, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { leases, nodes, pods } from "#shared/api/resources.ts";
import type { Node, NodeCondition, Pod } from "#shared/api/types/core-v1.generated.ts";
import { sessionStateAnnotation } from "#shared/heartbeat/messages.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { guests, patience_s, spreadApp, startCluster, type TestCluster, webApp } from "./board-cluster.ts";
import { endRunningKubectls, type RunningKubectl, runKubectl } from "./running-kubectl.ts";

setDefaultTimeout(guests ? 3_600_000 : 400_000);

/** Rounds of 10 s of the link that comes and goes; BRAMBLE_FLAP_ROUNDS=60 for ten minutes. */
const flaps = Number(process.env["BRAMBLE_FLAP_ROUNDS"] ?? 2);
/** How long pods bear a board that is away where they say nothing of it: of the cluster, and shorter than it is by itself. */
const toleration_s = 10;

describe("boards and masters that come and go", () => {
  let it: TestCluster;

  const nodeNamed = (name: string): Promise<Node> => it.client.get(nodes, { name });
  const conditionOf = ({ status }: Node): NodeCondition | undefined =>
    status?.conditions?.find(({ type }) => type === "Ready");
  const readyOf = async (name: string): Promise<NodeCondition | undefined> => conditionOf(await nodeNamed(name));
  const untilReady = (name: string, isReady: boolean): Promise<NodeCondition> =>
    waitFor(`${name} ${isReady ? "Ready" : "not Ready"}`, patience_s, async () => {
      // A master that is starting is asked again.
      const node = await nodeNamed(name).catch(() => undefined);
      const ready = node && conditionOf(node);
      // Its taints go a moment after it is ready: until then no pod is placed there.
      if (isReady && node?.spec?.taints?.length) return undefined;
      return ready && (ready.status === "True") === isReady ? ready : undefined;
    });
  const podsOf = async (app: string, board?: string): Promise<readonly Pod[]> => {
    const { items } = await it.client.list(pods, { namespace: "default", labelSelector: `app=${app}` });
    return board === undefined ? items : items.filter(({ spec }) => spec?.nodeName === board);
  };
  const isReady = ({ status }: Pod): boolean =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  /** Which pods there are and by which containers they run: equal before and after if nothing was disturbed. */
  const running = async (app: string): Promise<string[]> =>
    (await podsOf(app))
      .map(({ metadata, status }) => {
        const [container] = status?.containerStatuses ?? [];
        return `${metadata.name} ${metadata.uid} ${container?.containerID} ${container?.restartCount}`;
      })
      .sort();
  const untilAllReady = (app: string, count: number): Promise<readonly Pod[]> =>
    waitFor(`${count} pods of ${app}`, patience_s, async () => {
      const all = await podsOf(app).catch(() => []);
      return all.length === count && all.every((pod) => isReady(pod) && !pod.metadata.deletionTimestamp)
        ? all
        : undefined;
    });
  /** Says how long it took. What is promised of times is measured on a quiet machine: bench/README.md. */
  const measure = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const began_ms = performance.now();
    await work();
    console.log(`${what}: ${Math.round(performance.now() - began_ms)} ms`);
  };
  const sessionOf = async (name: string): Promise<string | undefined> =>
    (await it.client.get(leases, { namespace: "kube-node-lease", name })).metadata.annotations?.[
      sessionStateAnnotation
    ];
  /** It is not ready because its session broke, which tells at once, and not after the grace that silence has. */
  const untilLost = async (name: string): Promise<void> => {
    await untilReady(name, false);
    expect(await sessionOf(name)).toBe("lost");
  };

  beforeAll(async () => {
    const masterArgs = [`--default-toleration-seconds=${toleration_s}`];
    it = await startCluster({ name: "boards", workers: 2, takesGuests: true, masterArgs });
    await Promise.all([untilReady("worker-1", true), untilReady("worker-2", true)]);
    it.apply([...spreadApp("steady", 600), ...spreadApp("nimble", 5)]);
    await Promise.all([untilAllReady("steady", 2), untilAllReady("nimble", 2)]);
    for (const app of ["steady", "nimble"])
      expect((await podsOf(app)).map(({ spec }) => spec?.nodeName).sort()).toEqual(["worker-1", "worker-2"]);
  });
  afterAll(() => it.stop());
  beforeEach(async () => {
    // What a failed test left off, or running, must not fail the next.
    endRunningKubectls();
    for (const host of it.cluster.hosts) {
      if (!host.powered) await host.powerOn();
      if (host.bramblePid === undefined) host.startBramble();
    }
    await Promise.all([untilReady("worker-1", true), untilReady("worker-2", true)]);
  });

  test("an announced restart of an agent changes nothing", async () => {
    const [before, since] = [await running("steady"), (await readyOf("worker-2"))?.lastTransitionTime];
    const worker = it.cluster.host("worker-2");
    await worker.stopBramble("SIGTERM");
    // The broker has heard it when the agent ends; the Lease tells a moment later.
    const state = await waitFor("the end of the session", patience_s, async () => {
      const state = await sessionOf("worker-2");
      return state === "online" ? undefined : state;
    });
    expect(state).toBe("leaving");
    expect((await readyOf("worker-2"))?.status).toBe("True");
    worker.startBramble();
    await waitFor("a new session", patience_s, async () => (await sessionOf("worker-2")) === "online" || undefined);
    expect(await readyOf("worker-2")).toMatchObject({ status: "True", lastTransitionTime: since });
    expect(await running("steady")).toEqual(before);
  });

  test("an agent that dies without a word is noticed at once, and its pods are adopted when it is back", async () => {
    const before = await running("steady");
    const worker = it.cluster.host("worker-2");
    await measure("killed agent to NotReady", async () => {
      await worker.stopBramble("SIGKILL");
      await untilLost("worker-2");
    });
    worker.startBramble();
    await measure("agent started to Ready", () => untilReady("worker-2", true));
    await untilAllReady("steady", 2);
    expect(await running("steady")).toEqual(before);
  });

  test("a board without power is NotReady by its broken session, its pods run elsewhere, and it takes part again when it is back", async () => {
    // Spread anew: its pods flee from a board at its first trouble.
    it.kubectl("scale", "deployment/nimble", "--replicas=0");
    await untilAllReady("nimble", 0);
    it.kubectl("scale", "deployment/nimble", "--replicas=2");
    await untilAllReady("nimble", 2);
    const lost = (await podsOf("nimble")).filter(({ spec }) => spec?.nodeName === "worker-2");
    expect(lost).toHaveLength(1);
    const worker = it.cluster.host("worker-2");
    const follower = runKubectl(it.kubeconfig, ["logs", "--follow", lost[0]?.metadata.name ?? ""]);
    await follower.until(/started/);
    await measure("power cut to NotReady", async () => {
      await worker.cut();
      await untilLost("worker-2");
    });
    await measure("NotReady to new pods elsewhere", () =>
      waitFor("two pods on worker-1", patience_s, async () => {
        const there = await podsOf("nimble", "worker-1");
        return there.filter(isReady).length === 2 || undefined;
      }),
    );
    // Nobody can end what runs on a board without power: its pods stay, as not ready and about to go.
    for (const { metadata } of lost) {
      const pod = await it.client.get(pods, { namespace: "default", name: metadata.name ?? "" });
      expect(isReady(pod)).toBe(false);
      expect(pod.metadata.deletionTimestamp).toBeDefined();
    }
    expect(it.kubectl("get", "pod", lost[0]?.metadata.name ?? "")).toContain("Terminating");
    await it.until(
      /^worker-1 worker-1 $/,
      ...["get", "endpointslices", "-l", "kubernetes.io/service-name=nimble", "-o"],
      "jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.nodeName} {end}",
    );
    // Who hears nothing of it any more learns that it is gone.
    await measure("power cut to the end of a log that is followed", () => follower.until(/error/i));

    await worker.powerOn();
    worker.startBramble();
    await measure("Bramble started to Ready", () => untilReady("worker-2", true));
    await untilAllReady("steady", 2);
    await untilAllReady("nimble", 2);
    for (const { metadata } of lost)
      expect((await podsOf("nimble")).map((pod) => pod.metadata.uid)).not.toContain(metadata.uid);
  });

  test("a link that is down and up again restarts nothing", async () => {
    const before = await running("steady");
    const worker = it.cluster.host("worker-2");
    await measure("link down to NotReady", async () => {
      worker.link("down");
      await untilLost("worker-2");
    });
    worker.link("up");
    await measure("link up to Ready", () => untilReady("worker-2", true));
    await untilAllReady("steady", 2);
    expect(await running("steady")).toEqual(before);
  });

  test(
    "a link that is gone for 2 s of every 10 costs no pod",
    async () => {
      const before = [await running("steady"), await running("nimble")];
      const worker = it.cluster.host("worker-2");
      for (let round = 0; round < flaps; round++) {
        worker.link("down");
        await Bun.sleep(2_000);
        worker.link("up");
        await Bun.sleep(8_000);
      }
      expect([await running("steady"), await running("nimble")]).toEqual(before);
    },
    300_000 + flaps * 20_000,
  );

  test("a whole fleet behind a switch without power loses no pod", async () => {
    // They bear more than may lie between the two boards' being noticed on a busy machine.
    it.apply(spreadApp("switched", 15));
    await untilAllReady("switched", 2);
    const before = [await running("steady"), await running("switched")];
    const workers = ["worker-1", "worker-2"].map((name) => it.cluster.host(name));
    for (const worker of workers) worker.link("down");
    await Promise.all([untilReady("worker-1", false), untilReady("worker-2", false)]);
    // Longer than the pods bear a board that is away.
    await Bun.sleep(18_000);
    for (const worker of workers) worker.link("up");
    await Promise.all([untilReady("worker-1", true), untilReady("worker-2", true)]);
    await Promise.all([untilAllReady("steady", 2), untilAllReady("switched", 2)]);
    expect([await running("steady"), await running("switched")]).toEqual(before);
  });

  test.each([
    ["that hears nothing of the master", "INPUT", "-s"],
    ["of which the master hears nothing", "OUTPUT", "-d"],
  ])("a board %s is not ready, and takes part again when it does", async (_, chain, direction) => {
    const before = await running("steady");
    const worker = it.cluster.host("worker-2");
    const rule = [chain, direction, `${it.prefix}.11`, "-j", "DROP"];
    // Who is heard and does not hear may have renewed its Lease over a connection that still stood: that counts 20 s.
    await measure("one way cut to NotReady", async () => {
      worker.exec(["iptables", "-I", ...rule]);
      await untilReady("worker-2", false);
    }).finally(() => worker.exec(["iptables", "-D", ...rule]));
    await measure("both ways to Ready", () => untilReady("worker-2", true));
    await untilAllReady("steady", 2);
    expect(await running("steady")).toEqual(before);
  });

  test("pods with the cluster's own toleration serve elsewhere after a board lost power", async () => {
    it.apply(webApp("plain", 2));
    await untilAllReady("plain", 2);
    const [lost] = await podsOf("plain");
    const name = lost?.spec?.nodeName ?? "";
    const worker = it.cluster.host(name);
    await measure("power cut to pods of the default toleration elsewhere", async () => {
      await worker.cut();
      await waitFor("two pods elsewhere", patience_s, async () => {
        const ready = (await podsOf("plain")).filter((pod) => isReady(pod) && pod.spec?.nodeName !== name);
        return ready.length === 2 || undefined;
      });
    });
    await worker.powerOn();
    worker.startBramble();
    await untilReady(name, true);
    // The board starts its other pods anew, too.
    await untilAllReady("steady", 2);
    it.kubectl("delete", "deployment/plain", "service/plain");
  });

  test("a master that restarts, dies or loses power leaves everything as it was", async () => {
    const nodesNow = (): Promise<unknown> => Promise.all(["worker-1", "worker-2"].map(readyOf));
    const since = async (): Promise<unknown> =>
      ((await nodesNow()) as NodeCondition[]).map(({ status, lastTransitionTime }) => [status, lastTransitionTime]);
    const before = [await running("steady"), await since()];
    const master = it.cluster.host("master-1");
    for (const how of ["SIGTERM", "SIGKILL", "power"] as const) {
      if (how === "power") {
        await master.cut();
        await master.powerOn();
      } else await master.stopBramble(how);
      master.startBramble();
      await it.until(/ok/, "get", "--raw", "/readyz");
      await measure(`after ${how}: a command runs in a pod of each board`, async () => {
        for (const { metadata } of await podsOf("steady"))
          await it.until(/hello/, "exec", metadata.name ?? "", "--", "echo", "hello");
      });
      await measure(`after ${how}: both boards have a session`, () =>
        waitFor("sessions", patience_s, async () => {
          const { items } = await it.client.list(leases, { namespace: "kube-node-lease" });
          return (
            items.filter(({ metadata }) => metadata.annotations?.[sessionStateAnnotation] === "online").length === 2 ||
            undefined
          );
        }),
      );
      // The boards hear of what is new: their watches stand again too.
      it.kubectl("scale", "deployment/nimble", "--replicas=3");
      await measure(`after ${how}: a new pod runs`, () => untilAllReady("nimble", 3));
      it.kubectl("scale", "deployment/nimble", "--replicas=2");
      await untilAllReady("nimble", 2);
      // While a master has no power its boards may take a moment too long to find it again; their pods stay.
      const [pods, readySince] = [await running("steady"), await since()];
      expect(how === "power" ? [pods] : [pods, readySince]).toEqual(how === "power" ? before.slice(0, 1) : before);
    }
  });

  test("a board that boots with the master away serves its pods, Services and names from its checkpoint", async () => {
    const [pod] = await podsOf("steady", "worker-1");
    const [other] = await podsOf("steady", "worker-2");
    const name = pod?.metadata.name ?? "";
    const [master, worker] = [it.cluster.host("master-1"), it.cluster.host("worker-1")];
    // What a board has heard in the last seconds before a cut may not be on its card yet; one that ends has written it.
    await worker.stopBramble("SIGTERM");
    worker.startBramble();
    await waitFor("a new session", patience_s, async () => (await sessionOf("worker-1")) === "online" || undefined);
    await master.cut();
    await worker.cut();
    await worker.powerOn();
    worker.startBramble();
    const docker = (...args: string[]): string => worker.exec(["docker", "-H", "unix:///run/docker.sock", ...args]);
    const running = (container: string): string => {
      const filters = [`io.kubernetes.pod.uid=${pod?.metadata.uid}`, `io.kubernetes.container.name=${container}`];
      return docker("ps", "--quiet", ...filters.flatMap((label) => ["--filter", `label=${label}`])).trim();
    };
    /** What a pod of the board gets from the URL; undefined while it gets nothing. */
    const fetched = (url: string): string | undefined => {
      try {
        return docker("exec", running("web"), "timeout", "3", "wget", "-qO-", url).trim();
      } catch {
        return undefined;
      }
    };
    /** By its name in the cluster's DNS: each of ten answers must be there, and come from both boards. */
    const untilServed = async (): Promise<void> => {
      let answers: readonly (string | undefined)[] = [];
      const served = waitFor("the Service by its name, from pods of both boards", patience_s, () => {
        answers = Array.from({ length: 10 }, () => fetched("http://steady.default.svc.cluster.local/"));
        return (
          (!answers.includes(undefined) && answers.includes(name) && answers.includes(other?.metadata.name)) ||
          undefined
        );
      });
      await served.catch((error: unknown) => {
        throw new Error(`wanted ${name} and ${other?.metadata.name}, had ${answers.join(", ")}`, { cause: error });
      });
    };
    await measure("Bramble started to the pod's own web server", () =>
      waitFor("the pod's web server", patience_s, () => fetched("http://127.0.0.1:8080/") === name || undefined),
    );
    await measure("and to the Service", untilServed);
    // A name that is not there is told from one that is not known.
    const script = "nslookup nobody.default.svc.cluster.local 2>&1 || true";
    expect(docker("exec", running("web"), "sh", "-c", script)).toContain("NXDOMAIN");

    // With another sandbox the pod has another address, which only the board can know.
    const address = docker("exec", running("web"), "hostname", "-i");
    docker("rm", "--force", running("POD"));
    await waitFor("another sandbox", patience_s, () => {
      try {
        return docker("exec", running("web"), "hostname", "-i") !== address || undefined;
      } catch {
        return undefined;
      }
    });
    await measure("another sandbox to the Service", untilServed);

    await master.powerOn();
    master.startBramble();
    await untilReady("worker-1", true);
    await untilAllReady("steady", 2);
    expect((await podsOf("steady", "worker-1")).map(({ metadata }) => metadata.uid)).toEqual([pod?.metadata.uid]);
    await untilServed();
  });

  test("agent and master end at SIGTERM, and leave nothing behind that does not, with watches, exec sessions and forwards open", async () => {
    const [pod] = await podsOf("steady", "worker-1");
    const name = pod?.metadata.name ?? "";
    // The master was away until now: there is a way to the board again.
    await it.until(/hello/, "exec", name, "--", "echo", "hello");
    const open = (...args: string[]): RunningKubectl => runKubectl(it.kubeconfig, args);
    const sessions = [
      open("get", "pods", "-A", "--watch"),
      open("logs", "--follow", name),
      open("exec", "-i", name, "--", "sh", "-c", "echo began; cat"),
      open("port-forward", name, ":8080"),
    ];
    const signs = [/steady/, /started/, /began/, /Forwarding/];
    await Promise.all(signs.map((sign, index) => sessions[index]?.until(sign)));
    const [worker, master] = [it.cluster.host("worker-1"), it.cluster.host("master-1")];
    await measure("SIGTERM to the agent's end", () => worker.stopBramble("SIGTERM"));
    worker.startBramble();
    await untilReady("worker-1", true);
    sessions.push(open("exec", "-i", name, "--", "cat"), open("get", "nodes", "--watch"));
    await sessions.at(-1)?.until(/worker-1/);
    await measure("SIGTERM to the master's end", () => master.stopBramble("SIGTERM"));
    for (const host of [worker, master]) expect(host.log(1_000)).not.toContain("does not end; going on without it");
    await Promise.all(sessions.map((session) => session.interrupt()));
    master.startBramble();
    await it.until(/ok/, "get", "--raw", "/readyz");
  });
});
