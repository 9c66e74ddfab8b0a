import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ContainerConfig,
  type ContainerRuntime,
  type ContainerStatus,
  RuntimeError,
  type RuntimeEvent,
  type SandboxConfig,
} from "./runtime.ts";

/** A runtime under test, with an image of a busybox whose `/bin` is in PATH. */
export interface RuntimeUnderTest {
  readonly runtime: ContainerRuntime;
  readonly image: string;
  /** Whether who gives input to a process that only just began gets what it said before. */
  readonly attachesFromTheStart: boolean;
  close(): Promise<void>;
}

export function sandboxConfig(overrides: Partial<SandboxConfig> = {}): SandboxConfig {
  return {
    pod: { uid: randomUUID(), namespace: "default", name: "web" },
    attempt: 0,
    hostname: "web",
    labels: { app: "web" },
    annotations: { note: "a b" },
    network: "pod",
    hostPID: false,
    hostIPC: false,
    shareProcessNamespace: false,
    sysctls: {},
    portMappings: [],
    ...overrides,
  };
}

export function containerConfig(
  sandbox: SandboxConfig,
  image: string,
  overrides: Partial<ContainerConfig> = {},
): ContainerConfig {
  return {
    pod: sandbox.pod,
    name: "main",
    attempt: 0,
    image,
    env: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: {},
    security: {
      privileged: false,
      readOnlyRootFilesystem: false,
      noNewPrivileges: false,
      addCapabilities: [],
      dropCapabilities: [],
      supplementalGroups: [],
    },
    ...overrides,
  };
}

// Containers take their time on a board; nothing below depends on it.
setDefaultTimeout(300_000);

/** What every ContainerRuntime must do, on the real thing. */
export function describeRuntimeContract(name: string, open: () => Promise<RuntimeUnderTest>): void {
  describe(`ContainerRuntime: ${name}`, () => {
    let runtime: ContainerRuntime;
    let image: string;
    let attachesFromTheStart: boolean;
    let close: () => Promise<void> = async () => undefined;
    let scratch: string;

    beforeAll(async () => {
      scratch = mkdtempSync(join(tmpdir(), "brt-files-"));
      const opened = await open();
      ({ runtime, image, attachesFromTheStart } = opened);
      close = () => opened.close();
    });
    afterAll(async () => {
      await close();
      rmSync(scratch, { recursive: true, force: true });
    });

    async function withSandbox(
      overrides: Partial<SandboxConfig>,
      use: (id: string, config: SandboxConfig) => Promise<void>,
    ): Promise<void> {
      const config = sandboxConfig(overrides);
      const id = await runtime.createSandbox(config);
      try {
        await use(id, config);
      } finally {
        await runtime.stopSandbox(id);
        await runtime.removeSandbox(id);
      }
    }

    async function start(
      sandboxId: string,
      sandbox: SandboxConfig,
      overrides: Partial<ContainerConfig>,
    ): Promise<string> {
      const id = await runtime.createContainer(sandboxId, containerConfig(sandbox, image, overrides));
      await runtime.startContainer(id);
      return id;
    }

    async function ended(id: string, uid: string): Promise<ContainerStatus> {
      for (;;) {
        const status = (await runtime.listContainers({ podUid: uid })).find((c) => c.id === id);
        if (status === undefined) throw new Error("the container is gone");
        if (status.state === "exited") return status;
        await delay(20);
      }
    }

    const shell = (script: string): Partial<ContainerConfig> => ({ command: ["sh", "-c", script] });
    const sleeper = shell("trap 'exit 7' TERM; echo ready; sleep 1000 & wait");
    const output = async (id: string) => text(await runtime.logs(id, { follow: false, timestamps: false }));

    /** Until the script has said so: its traps are set by then. */
    const isReady = (id: string) =>
      eventually(async () => {
        if (!(await output(id)).includes("ready")) throw new Error("not ready yet");
      });

    test("says what it is", async () => {
      const version = await runtime.version();
      expect(version.version).toMatch(/^\d+\.\d+/);
      expect([1, 2]).toContain(version.cgroupVersion);
    });

    test("a sandbox has an address, its labels, and ends idempotently", async () => {
      const config = sandboxConfig();
      const id = await runtime.createSandbox(config);
      const found = (await runtime.listSandboxes()).find((s) => s.id === id);
      expect(found).toMatchObject({ pod: config.pod, attempt: 0, state: "ready", annotations: { note: "a b" } });
      expect(found?.labels["app"]).toBe("web");
      expect((await runtime.listSandboxes({ podUid: config.pod.uid })).map((s) => s.id)).toEqual([id]);
      expect(await runtime.listSandboxes({ podUid: randomUUID() })).toEqual([]);
      expect(found?.ips[0]).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
      await runtime.stopSandbox(id);
      await runtime.stopSandbox(id);
      expect((await runtime.listSandboxes()).find((s) => s.id === id)).toMatchObject({ state: "not-ready", ips: [] });
      await runtime.removeSandbox(id);
      await runtime.removeSandbox(id);
      expect((await runtime.listSandboxes()).some((s) => s.id === id)).toBe(false);
    });

    test("containers share the sandbox's network, name and resolver", async () => {
      const dns = { servers: ["10.43.0.10"], searches: ["default.svc.cluster.local"], options: ["ndots:5"] };
      await withSandbox({ dns }, async (sandboxId, sandbox) => {
        const script = "hostname; cat /etc/resolv.conf; ip -o -4 addr show eth0; ip -o link show lo";
        const id = await start(sandboxId, sandbox, shell(script));
        await ended(id, sandbox.pod.uid);
        const said = await output(id);
        const ips = (await runtime.listSandboxes()).find((s) => s.id === sandboxId)?.ips ?? [];
        const [name, ...lines] = said.split("\n");
        expect(name).toBe("web");
        const resolver = ["nameserver 10.43.0.10", "options ndots:5", "search default.svc.cluster.local"];
        expect(lines.slice(0, 3).sort()).toEqual(resolver);
        expect(said).toContain(`inet ${ips[0]}/`);
        expect(said).toMatch(/lo: <[^>]*UP/);
      });
    });

    test("a container's life is told: created, running, exit code, times", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const config = containerConfig(sandbox, image, {
          ...shell("echo out; echo err >&2; exit 3"),
          attempt: 2,
          labels: { own: "label" },
          annotations: { own: "annotation" },
        });
        const id = await runtime.createContainer(sandboxId, config);
        const [created] = await runtime.listContainers({ podUid: sandbox.pod.uid });
        expect(created).toMatchObject({ id, sandboxId, name: "main", attempt: 2, state: "created", pod: sandbox.pod });
        await runtime.startContainer(id);
        const status = await ended(id, sandbox.pod.uid);
        expect(status).toMatchObject({ exitCode: 3, oomKilled: false, image, annotations: { own: "annotation" } });
        expect(status.labels["own"]).toBe("label");
        expect(status.finishedAt_ms ?? 0).toBeGreaterThanOrEqual(status.startedAt_ms ?? Number.POSITIVE_INFINITY);
        await runtime.removeContainer(id);
        await runtime.removeContainer(id);
        expect(await runtime.listContainers({ podUid: sandbox.pod.uid })).toEqual([]);
      });
    });

    test("a name left over from a try that was cut short is taken again", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const first = await runtime.createContainer(sandboxId, containerConfig(sandbox, image, sleeper));
        const second = await runtime.createContainer(sandboxId, containerConfig(sandbox, image, sleeper));
        expect(second).not.toBe(first);
        expect((await runtime.listContainers({ podUid: sandbox.pod.uid })).map((c) => c.id)).toEqual([second]);
      });
    });

    test("stop: the signal first, SIGKILL after the grace", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const polite = await start(sandboxId, sandbox, { ...sleeper, name: "polite" });
        const deaf = await start(sandboxId, sandbox, {
          ...shell("trap '' TERM; echo ready; sleep 1000"),
          name: "deaf",
        });
        const signalled = await start(sandboxId, sandbox, {
          ...shell("trap 'exit 5' USR1; echo ready; sleep 1000 & wait"),
          name: "signalled",
        });
        await Promise.all([polite, deaf, signalled].map(isReady));
        await Promise.all([
          runtime.stopContainer(polite, 30),
          runtime.stopContainer(deaf, 1),
          runtime.stopContainer(signalled, 30, "SIGUSR1"),
        ]);
        await runtime.stopContainer(polite, 30);
        expect((await ended(polite, sandbox.pod.uid)).exitCode).toBe(7);
        expect((await ended(deaf, sandbox.pod.uid)).exitCode).toBe(137);
        expect((await ended(signalled, sandbox.pod.uid)).exitCode).toBe(5);
      });
    });

    test("stopping a sandbox kills what runs in it", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, sleeper);
        await runtime.stopSandbox(sandboxId);
        expect((await ended(id, sandbox.pod.uid)).state).toBe("exited");
      });
    });

    test("a program that does not exist is a typed error, with its reason in the status", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await runtime.createContainer(sandboxId, containerConfig(sandbox, image, { command: ["/no/such"] }));
        expect(await kindOf(runtime.startContainer(id))).toBe("cannot-start");
        const [status] = await runtime.listContainers({ podUid: sandbox.pod.uid });
        expect(status?.error).toContain("/no/such");
      });
    });

    test("what does not exist is a typed error", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const absent = containerConfig(sandbox, "docker.io/bramble-test/absent:1");
        expect(await kindOf(runtime.createContainer(sandboxId, absent))).toBe("image-not-found");
      });
      const nobody = "0".repeat(64);
      expect(await kindOf(runtime.startContainer(nobody))).toBe("not-found");
      expect(await kindOf(runtime.execSync(nobody, ["true"], 60_000))).toBe("not-found");
      expect(await kindOf(runtime.logs(nobody, { follow: false, timestamps: false }))).toBe("not-found");
      expect(await runtime.imageStatus("docker.io/bramble-test/absent:1")).toBeUndefined();
    });

    test("environment, working directory, user, groups, arguments", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const base = containerConfig(sandbox, image);
        const id = await start(sandboxId, sandbox, {
          command: ["sh", "-c"],
          args: ['echo "$WORD"; pwd; id -u; id -g; id -G; touch /denied 2>&1; grep NoNewPrivs /proc/self/status'],
          env: [{ name: "WORD", value: "a=b c" }],
          workingDir: "/made/here",
          security: {
            ...base.security,
            runAsUser: 1000,
            runAsGroup: 2000,
            supplementalGroups: [3000, 4000],
            readOnlyRootFilesystem: true,
            noNewPrivileges: true,
          },
        });
        await ended(id, sandbox.pod.uid);
        const lines = (await output(id)).trim().split("\n");
        expect(lines.slice(0, 4)).toEqual(["a=b c", "/made/here", "1000", "2000"]);
        expect(lines[4]?.split(" ").sort()).toEqual(["2000", "3000", "4000"]);
        expect(lines[5]).toContain("Read-only file system");
        expect(lines[6]).toMatch(/NoNewPrivs:\s+1/);
      });
    });

    test("a seccomp profile of the host forbids what it names", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const profile = join(scratch, "seccomp.json");
        const forbidden = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
        writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [forbidden] }));
        const { security } = containerConfig(sandbox, image);
        const id = await start(sandboxId, sandbox, {
          ...shell("mkdir /made 2>&1"),
          security: { ...security, seccomp: profile },
        });
        expect((await ended(id, sandbox.pod.uid)).exitCode).toBe(1);
        expect(await output(id)).toContain("Operation not permitted");
        const absent = { ...security, seccomp: join(scratch, "absent.json") };
        const config = containerConfig(sandbox, image, { name: "other", security: absent });
        expect(await kindOf(runtime.createContainer(sandboxId, config))).toBe("cannot-start");
      });
    });

    test("mounts, read-only ones too, and a missing source becomes a directory", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        writeFileSync(join(scratch, "file"), "content\n");
        const id = await start(sandboxId, sandbox, {
          ...shell("cat /file; touch /file 2>&1; touch /dir/made && ls /dir"),
          mounts: [
            { hostPath: join(scratch, "file"), containerPath: "/file", readOnly: true, propagation: "private" },
            { hostPath: join(scratch, "new/dir"), containerPath: "/dir", readOnly: false, propagation: "private" },
          ],
        });
        await ended(id, sandbox.pod.uid);
        expect(await output(id)).toMatch(/^content\n.*Read-only file system\nmade\n$/);
      });
    });

    test("the board's whole root is mounted, the runtime's own files below it too", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        writeFileSync(join(scratch, "seen"), "from the board\n");
        const id = await start(sandboxId, sandbox, {
          ...shell(`cat /host${join(scratch, "seen")}`),
          mounts: [{ hostPath: "/", containerPath: "/host", readOnly: false, propagation: "private" }],
        });
        await ended(id, sandbox.pod.uid);
        expect(await output(id)).toBe("from the board\n");
      });
    });

    test("a shared process namespace shows the other containers, and pause reaps", async () => {
      await withSandbox({ shareProcessNamespace: true }, async (sandboxId, sandbox) => {
        const other = await start(sandboxId, sandbox, { ...sleeper, name: "other" });
        const id = await start(sandboxId, sandbox, shell("(sleep 0.2 & ) ; sleep 1; ps"));
        await ended(id, sandbox.pod.uid);
        const processes = await output(id);
        expect(processes).toContain("/pause");
        expect(processes).toContain("sleep 1000");
        expect(processes).not.toMatch(/\[sleep\]|Z /);
        await runtime.stopContainer(other, 0);
      });
    });

    test("exec with and without input; exit codes; stderr apart", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, sleeper);
        const done = await runtime.execSync(id, ["sh", "-c", "echo out; echo err >&2; exit 4"], 30_000);
        expect(done).toEqual({ exitCode: 4, stdout: "out\n", stderr: "err\n", timedOut: false });
        // What a hook gets, which may run as long as its container does.
        const unbounded = await runtime.execSync(id, ["sh", "-c", "exit 5"], 2_147_483_647);
        expect(unbounded).toMatchObject({ exitCode: 5, timedOut: false });
        const much = await runtime.execSync(id, ["sh", "-c", "yes | head -c 300000"], 30_000, 1000);
        expect(much.stdout).toHaveLength(1000);
        const session = await runtime.exec(id, {
          command: ["cat"],
          stdin: true,
          stdout: true,
          stderr: true,
          tty: false,
        });
        session.stdin?.end("through\n");
        expect(await text(session.stdout)).toBe("through\n");
        expect(await session.exited).toBe(0);
      });
    });

    test("exec with a terminal has its size", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, sleeper);
        // A size that is told may take hold a moment later.
        const untilSized = 'read line; until [ "$(stty size 2>&1)" = "45 123" ]; do sleep 0.1; done; stty size';
        const session = await runtime.exec(id, {
          command: ["sh", "-c", untilSized],
          stdin: true,
          stdout: true,
          stderr: true,
          tty: true,
        });
        await session.resize(123, 45);
        session.stdin?.write("go\n");
        expect(await text(session.stdout)).toContain("45 123");
        expect(await session.exited).toBe(0);
      });
    });

    test("an exec that runs out of time is killed, with its children", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, sleeper);
        const runFor = (ms: number) => runtime.execSync(id, ["sh", "-c", "echo begun; sleep 4321 & wait"], ms);
        let result = await runFor(1_000);
        // On a busy machine one may run out of time before it has begun.
        for (let limit_ms = 2_000; result.timedOut && result.stdout === ""; limit_ms *= 2)
          result = await runFor(limit_ms);
        expect(result).toMatchObject({ timedOut: true, stdout: "begun\n" });
        const { stdout } = await runtime.execSync(id, ["ps"], 30_000);
        expect(stdout).not.toContain("4321");
      });
    });

    test("attach reaches the main process", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const reader = shell('while read line; do echo "got $line"; [ "$line" = end ] && exit 0; done');
        const id = await start(sandboxId, sandbox, { ...reader, stdin: true, stdinOnce: true });
        const session = await runtime.attach(id, { stdin: true, stdout: true, stderr: true });
        let said = "";
        session.stdout.on("data", (chunk) => {
          said += String(chunk);
        });
        // Some runtimes take input before they pass on output.
        await eventually(async () => {
          session.stdin?.write("hello\n");
          await delay(20);
          if (!said.includes("got hello\n")) throw new Error("nothing heard yet");
        });
        session.stdin?.write("end\n");
        expect(await session.exited).toBe(0);
      });
    });

    test("attach ends with the process, and tells no exit code", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, { ...shell("read line; exit 3"), stdin: true, stdinOnce: true });
        const session = await runtime.attach(id, { stdin: true, stdout: true, stderr: true });
        session.stdout.resume();
        session.stderr?.resume();
        session.stdin?.write("go\n");
        expect(await session.exited).toBe(0);
        expect((await ended(id, sandbox.pod.uid)).exitCode).toBe(3);
      });
    });

    test("attach has what a process said that only just began", async () => {
      if (!attachesFromTheStart) return;
      await withSandbox({}, async (sandboxId, sandbox) => {
        const asking = { ...shell("echo name?; read line; echo $line"), stdin: true, stdinOnce: true };
        const id = await start(sandboxId, sandbox, asking);
        await eventually(async () => {
          if ((await output(id)) !== "name?\n") throw new Error("nothing said yet");
        });
        const session = await runtime.attach(id, { stdin: true, stdout: true, stderr: true });
        session.stderr?.resume();
        session.stdin?.write("jane\n");
        expect(await text(session.stdout)).toBe("name?\njane\n");
      });
    });

    test("attach ends with its input where the process waits for more", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, { ...shell("cat"), stdin: true });
        const session = await runtime.attach(id, { stdin: true, stdout: true, stderr: true });
        session.stdout.resume();
        session.stderr?.resume();
        session.stdin?.end("told\n");
        expect(await session.exited).toBe(0);
      });
    });

    test("attach to a process that has ended does not wait for ever", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, { ...shell("echo said"), stdin: true, stdinOnce: true });
        await ended(id, sandbox.pod.uid);
        const ending = runtime.attach(id, { stdin: true, stdout: true, stderr: true }).then(async (session) => {
          session.stderr?.resume();
          const said = await text(session.stdout);
          await session.exited;
          return said;
        });
        const outcome = await ending.catch((error: unknown) => error instanceof RuntimeError);
        if (attachesFromTheStart) expect(outcome).toBe("said\n");
        // That there is nothing to attach to, or nothing more to hear.
        else expect(outcome).toBeOneOf([true, ""]);
      });
    });

    test("logs: tail, stamps, streams, limit, follow to the end", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const long = "head -c 40000 /dev/zero | tr '\\0' x; echo";
        const id = await start(sandboxId, sandbox, shell(`for i in 1 2 3; do echo o$i; done; echo e >&2; ${long}`));
        const followed = text(await runtime.logs(id, { follow: true, timestamps: false }));
        await ended(id, sandbox.pod.uid);
        const whole = await output(id);
        expect(await followed).toHaveLength(whole.length);
        const read = async (options: Parameters<ContainerRuntime["logs"]>[1]) => text(await runtime.logs(id, options));
        expect(await read({ follow: false, timestamps: false, stream: "stderr" })).toBe("e\n");
        expect(await read({ follow: false, timestamps: false, limit_bytes: 5 })).toBe(whole.slice(0, 5));
        const stamped = await read({ follow: false, timestamps: true, stream: "stdout" });
        const lines = stamped.trim().split("\n");
        expect(lines).toHaveLength(4);
        expect(lines[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{9})?Z o1$/);
        expect(lines[3]).toMatch(/^\S+ x{40000}$/);
        expect(await read({ follow: false, timestamps: false, since_ms: Date.now() + 60_000 })).toBe("");
        const tail = await read({ follow: false, timestamps: false, tailLines: 0 });
        expect(tail).toBe("");
      });
    });

    test("a port of a sandbox is reached from outside its network", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        await start(sandboxId, sandbox, { command: ["nc", "-ll", "-p", "8080", "-e", "cat"] });
        const connection = await eventually(() => runtime.portForward(sandboxId, 8080));
        const sent = "x".repeat(1_000_000);
        const answer = text(connection);
        connection.end(sent);
        expect((await answer).length).toBe(sent.length);
        const refused = `failed to connect to localhost:9 inside namespace "${sandboxId}": dial tcp 127.0.0.1:9: connect: connection refused`;
        await expect(runtime.portForward(sandboxId, 9)).rejects.toMatchObject({ kind: "network", message: refused });
      });
    });

    test("resources can be set and changed", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const id = await start(sandboxId, sandbox, {
          ...sleeper,
          resources: { memoryLimit_bytes: 64 * 2 ** 20, cpuShares: 100, oomScoreAdj: -500 },
        });
        await runtime.updateResources(id, { memoryLimit_bytes: 96 * 2 ** 20, cpuShares: 200 });
        const limit = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
        const { stdout } = await runtime.execSync(id, ["sh", "-c", limit], 30_000);
        expect(stdout.trim()).toBe(String(96 * 2 ** 20));
      });
    });

    test("stats count time, memory and traffic", async () => {
      await withSandbox({}, async (sandboxId, sandbox) => {
        const script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; ping -c 1 -W 1 10.88.0.1; sleep 1000";
        const id = await start(sandboxId, sandbox, shell(script));
        const stats = await eventually(async () => {
          const now = await runtime.stats(id);
          if (now.networkTx_bytes === 0) throw new Error("nothing sent yet");
          return now;
        });
        expect(stats.cpuUsage_ns).toBeGreaterThan(0);
        expect(stats.memoryUsage_bytes).toBeGreaterThan(0);
        expect(stats.memoryWorkingSet_bytes).toBeLessThanOrEqual(stats.memoryUsage_bytes);
      });
    });

    test("events tell of starts and deaths, and end when asked", async () => {
      const stop = new AbortController();
      const seen: RuntimeEvent[] = [];
      const both = Promise.withResolvers<void>();
      const watching = (async () => {
        for await (const event of runtime.events(stop.signal)) {
          seen.push(event);
          // Who looks because of an event sees what it told.
          const told = (await runtime.listContainers()).find(({ id }) => id === event.containerId);
          if (event.kind === "died" && told) expect(told.state).toBe("exited");
          if (seen.some((e) => e.kind === "died")) both.resolve();
        }
      })();
      await withSandbox({}, async (sandboxId, sandbox) => {
        // The stream may open after the first container began: the next one is seen then.
        while (!seen.some((e) => e.kind === "died")) {
          const id = await start(sandboxId, sandbox, { ...shell("exit 0"), attempt: seen.length });
          await ended(id, sandbox.pod.uid);
          await Promise.race([both.promise, delay(500)]);
          await runtime.removeContainer(id);
        }
        expect(seen.find((e) => e.kind === "died")?.podUid).toBe(sandbox.pod.uid);
      });
      stop.abort();
      await watching;
    });

    test("images: status by name and id, list, pinned pause", async () => {
      const status = await runtime.imageStatus(image);
      expect(status).toMatchObject({ pinned: false });
      expect(status?.platform).toStartWith("linux/");
      expect((await runtime.imageStatus(status?.id ?? ""))?.id).toBe(status?.id ?? "none");
      const listed = await runtime.listImages();
      expect(listed.some((i) => i.id === status?.id)).toBe(true);
      expect(listed.some((i) => i.pinned)).toBe(true);
      await runtime.removeImage("docker.io/bramble-test/absent:1");
    });
  });
}

async function text(stream: Readable | NodeJS.ReadableStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString("utf8");
}

async function kindOf(outcome: Promise<unknown>): Promise<string> {
  try {
    await outcome;
    return "no error";
  } catch (error) {
    return error instanceof RuntimeError ? error.kind : `not a RuntimeError: ${error}`;
  }
}

/** For what becomes true soon after a process starts; the suite's own time limit is the bound. */
async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch {
      await delay(50);
    }
  }
}
