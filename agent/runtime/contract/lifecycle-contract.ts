import { expect, test } from "bun:test";
import { randomUUID } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { containerConfig, sandboxConfig } from "./configs.ts";
import { kindOf, type RuntimeBench, shell, sleeper } from "./runtime-bench.ts";

/** Sandboxes and containers: what they are given, their lives and their ends. */
export function lifecycleContract(bench: RuntimeBench): void {
  test("says what it is", async () => {
    const version = await bench.runtime.version();
    expect(version.version).toMatch(/^\d+\.\d+/);
    expect([1, 2]).toContain(version.cgroupVersion);
  });

  test("a sandbox has an address, its labels, and ends idempotently", async () => {
    const config = sandboxConfig();
    const id = await bench.runtime.createSandbox(config);
    const found = (await bench.runtime.listSandboxes()).find((s) => s.id === id);
    expect(found).toMatchObject({ pod: config.pod, attempt: 0, state: "ready", annotations: { note: "a b" } });
    expect(found?.labels["app"]).toBe("web");
    expect((await bench.runtime.listSandboxes({ podUid: config.pod.uid })).map((s) => s.id)).toEqual([id]);
    expect(await bench.runtime.listSandboxes({ podUid: randomUUID() })).toEqual([]);
    expect(found?.ips[0]).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    await bench.runtime.stopSandbox(id);
    await bench.runtime.stopSandbox(id);
    expect((await bench.runtime.listSandboxes()).find((s) => s.id === id)).toMatchObject({
      state: "not-ready",
      ips: [],
    });
    await bench.runtime.removeSandbox(id);
    await bench.runtime.removeSandbox(id);
    expect((await bench.runtime.listSandboxes()).some((s) => s.id === id)).toBe(false);
  });

  test("containers share the sandbox's network, name and resolver", async () => {
    const dns = { servers: ["10.43.0.10"], searches: ["default.svc.cluster.local"], options: ["ndots:5"] };
    await bench.withSandbox({ dns }, async (sandboxId, sandbox) => {
      const script = "hostname; cat /etc/resolv.conf; ip -o -4 addr show eth0; ip -o link show lo";
      const id = await bench.start(sandboxId, sandbox, shell(script));
      await bench.ended(id, sandbox.pod.uid);
      const said = await bench.output(id);
      const ips = (await bench.runtime.listSandboxes()).find((s) => s.id === sandboxId)?.ips ?? [];
      const [name, ...lines] = said.split("\n");
      expect(name).toBe("web");
      const resolver = ["nameserver 10.43.0.10", "options ndots:5", "search default.svc.cluster.local"];
      expect(lines.slice(0, 3).sort()).toEqual(resolver);
      expect(said).toContain(`inet ${ips[0]}/`);
      expect(said).toMatch(/lo: <[^>]*UP/);
    });
  });

  test("a container's life is told: created, running, exit code, times", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const config = containerConfig(sandbox, bench.image, {
        ...shell("echo out; echo err >&2; exit 3"),
        attempt: 2,
        labels: { own: "label" },
        annotations: { own: "annotation" },
      });
      const id = await bench.runtime.createContainer(sandboxId, config);
      const [created] = await bench.runtime.listContainers({ podUid: sandbox.pod.uid });
      expect(created).toMatchObject({ id, sandboxId, name: "main", attempt: 2, state: "created", pod: sandbox.pod });
      await bench.runtime.startContainer(id);
      const status = await bench.ended(id, sandbox.pod.uid);
      expect(status).toMatchObject({
        exitCode: 3,
        oomKilled: false,
        image: bench.image,
        annotations: { own: "annotation" },
      });
      expect(status.labels["own"]).toBe("label");
      expect(status.finishedAt_ms ?? 0).toBeGreaterThanOrEqual(status.startedAt_ms ?? Number.POSITIVE_INFINITY);
      await bench.runtime.removeContainer(id);
      await bench.runtime.removeContainer(id);
      expect(await bench.runtime.listContainers({ podUid: sandbox.pod.uid })).toEqual([]);
    });
  });

  test("a name left over from a try that was cut short is taken again", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const first = await bench.runtime.createContainer(sandboxId, containerConfig(sandbox, bench.image, sleeper));
      const second = await bench.runtime.createContainer(sandboxId, containerConfig(sandbox, bench.image, sleeper));
      expect(second).not.toBe(first);
      expect((await bench.runtime.listContainers({ podUid: sandbox.pod.uid })).map((c) => c.id)).toEqual([second]);
    });
  });

  test("stop: the signal first, SIGKILL after the grace", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const polite = await bench.start(sandboxId, sandbox, { ...sleeper, name: "polite" });
      const deaf = await bench.start(sandboxId, sandbox, {
        ...shell("trap '' TERM; echo ready; sleep 1000"),
        name: "deaf",
      });
      const signalled = await bench.start(sandboxId, sandbox, {
        ...shell("trap 'exit 5' USR1; echo ready; sleep 1000 & wait"),
        name: "signalled",
      });
      await Promise.all([polite, deaf, signalled].map((id) => bench.isReady(id)));
      await Promise.all([
        bench.runtime.stopContainer(polite, 30),
        bench.runtime.stopContainer(deaf, 1),
        bench.runtime.stopContainer(signalled, 30, "SIGUSR1"),
      ]);
      await bench.runtime.stopContainer(polite, 30);
      expect((await bench.ended(polite, sandbox.pod.uid)).exitCode).toBe(7);
      expect((await bench.ended(deaf, sandbox.pod.uid)).exitCode).toBe(137);
      expect((await bench.ended(signalled, sandbox.pod.uid)).exitCode).toBe(5);
    });
  });

  test("stopping a sandbox kills what runs in it", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.start(sandboxId, sandbox, sleeper);
      await bench.runtime.stopSandbox(sandboxId);
      expect((await bench.ended(id, sandbox.pod.uid)).state).toBe("exited");
    });
  });

  test("a program that does not exist is a typed error, with its reason in the status", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const id = await bench.runtime.createContainer(
        sandboxId,
        containerConfig(sandbox, bench.image, { command: ["/no/such"] }),
      );
      expect(await kindOf(bench.runtime.startContainer(id))).toBe("cannot-start");
      const [status] = await bench.runtime.listContainers({ podUid: sandbox.pod.uid });
      expect(status?.error).toContain("/no/such");
    });
  });

  test("what does not exist is a typed error", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const absent = containerConfig(sandbox, "docker.io/bramble-test/absent:1");
      expect(await kindOf(bench.runtime.createContainer(sandboxId, absent))).toBe("image-not-found");
    });
    const nobody = "0".repeat(64);
    expect(await kindOf(bench.runtime.startContainer(nobody))).toBe("not-found");
    expect(await kindOf(bench.runtime.execSync(nobody, ["true"], 60_000))).toBe("not-found");
    expect(await kindOf(bench.runtime.logs(nobody, { follow: false, timestamps: false }))).toBe("not-found");
    expect(await bench.runtime.imageStatus("docker.io/bramble-test/absent:1")).toBeUndefined();
  });

  test("environment, working directory, user, groups, arguments", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const base = containerConfig(sandbox, bench.image);
      const id = await bench.start(sandboxId, sandbox, {
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
      await bench.ended(id, sandbox.pod.uid);
      const lines = (await bench.output(id)).trim().split("\n");
      expect(lines.slice(0, 4)).toEqual(["a=b c", "/made/here", "1000", "2000"]);
      expect(lines[4]?.split(" ").sort()).toEqual(["2000", "3000", "4000"]);
      expect(lines[5]).toContain("Read-only file system");
      expect(lines[6]).toMatch(/NoNewPrivs:\s+1/);
    });
  });

  test("a seccomp profile of the host forbids what it names", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      const profile = join(bench.scratch, "seccomp.json");
      const forbidden = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO" };
      writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls: [forbidden] }));
      const { security } = containerConfig(sandbox, bench.image);
      const id = await bench.start(sandboxId, sandbox, {
        ...shell("mkdir /made 2>&1"),
        security: { ...security, seccomp: profile },
      });
      expect((await bench.ended(id, sandbox.pod.uid)).exitCode).toBe(1);
      expect(await bench.output(id)).toContain("Operation not permitted");
      const absent = { ...security, seccomp: join(bench.scratch, "absent.json") };
      const config = containerConfig(sandbox, bench.image, { name: "other", security: absent });
      expect(await kindOf(bench.runtime.createContainer(sandboxId, config))).toBe("cannot-start");
    });
  });

  test("mounts, read-only ones too, and a missing source becomes a directory", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      writeFileSync(join(bench.scratch, "file"), "content\n");
      const id = await bench.start(sandboxId, sandbox, {
        ...shell("cat /file; touch /file 2>&1; touch /dir/made && ls /dir"),
        mounts: [
          { hostPath: join(bench.scratch, "file"), containerPath: "/file", readOnly: true, propagation: "private" },
          { hostPath: join(bench.scratch, "new/dir"), containerPath: "/dir", readOnly: false, propagation: "private" },
        ],
      });
      await bench.ended(id, sandbox.pod.uid);
      expect(await bench.output(id)).toMatch(/^content\n.*Read-only file system\nmade\n$/);
    });
  });

  test("the board's whole root is mounted, the runtime's own files below it too", async () => {
    await bench.withSandbox({}, async (sandboxId, sandbox) => {
      writeFileSync(join(bench.scratch, "seen"), "from the board\n");
      const id = await bench.start(sandboxId, sandbox, {
        ...shell(`cat /host${join(bench.scratch, "seen")}`),
        mounts: [{ hostPath: "/", containerPath: "/host", readOnly: false, propagation: "private" }],
      });
      await bench.ended(id, sandbox.pod.uid);
      expect(await bench.output(id)).toBe("from the board\n");
    });
  });

  test("a shared process namespace shows the other containers, and pause reaps", async () => {
    await bench.withSandbox({ shareProcessNamespace: true }, async (sandboxId, sandbox) => {
      const other = await bench.start(sandboxId, sandbox, { ...sleeper, name: "other" });
      await bench.isReady(other);
      // An orphan that nobody reaps would be there for good.
      const orphan = "(sleep 0.2 & echo $! >/orphan); until [ ! -e /proc/$(cat /orphan) ]; do sleep 0.1; done";
      const othersSleep = "until ps | grep -q '[s]leep 1000'; do sleep 0.1; done";
      const id = await bench.start(sandboxId, sandbox, shell(`${orphan}; ${othersSleep}; ps`));
      await bench.ended(id, sandbox.pod.uid);
      const processes = await bench.output(id);
      expect(processes).toContain("/pause");
      expect(processes).toContain("sleep 1000");
      expect(processes).not.toMatch(/\[sleep\]|Z /);
      await bench.runtime.stopContainer(other, 0);
    });
  });
}
