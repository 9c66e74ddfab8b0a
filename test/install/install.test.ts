import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { BunPlugin } from "bun";
import { engineOptions } from "#shared/process/engine-options.ts";
import { createLan, removeLan } from "#tools/local-cluster/lan.ts";
import { buildProgram } from "#tools/program.ts";
import { InstallBoard, takeLan } from "./install-board.ts";
import { expectSuccess, host, makeRelease, ownVersion, removeReleases } from "./release.ts";

/**
 * install.sh and bramble-uninstall.sh on machines as they come, here without systemd: a master from a release folder, a
 * worker by the line that the master prints.
 */
const patience_ms = 900_000;
setDefaultTimeout(patience_ms);
const lan = await takeLan("ins");
const masterAddress = `${lan.prefix}.11`;
let release = "";
let master: InstallBoard;
let worker: InstallBoard;

beforeAll(async () => {
  release = makeRelease();
  createLan(lan);
  master = await InstallBoard.start(lan, "box-1", masterAddress);
  worker = await InstallBoard.start(lan, "box-2", `${lan.prefix}.12`);
});

afterAll(() => {
  master?.stop();
  worker?.stop();
  removeLan(lan);
  removeReleases();
});

/** The same program with another version, and with what a plug-in changes. */
async function programOf(version: string, ...plugins: BunPlugin[]): Promise<Uint8Array> {
  const folder = mkdtempSync("/var/tmp/bramble-program-");
  try {
    const file = join(folder, "bramble");
    await buildProgram(host, file, { version, builtAt_ms: Date.now(), plugins });
    return readFileSync(file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Ends every agent at its start. */
const endingAgent: BunPlugin = {
  name: "ending agent",
  setup(build) {
    build.onLoad({ filter: /\/agent\/worker\.ts$/ }, ({ path }) => ({
      contents: `${readFileSync(path, "utf8")}\nthrow new Error("ended for a test");\n`,
      loader: "ts",
    }));
  },
};

/** Versions are told apart by their last character. */
const versionEnding = (end: string): string => ownVersion().slice(0, -1) + end;

const supervisedPid = async (board: InstallBoard, name: string): Promise<string> =>
  expectSuccess(await board.run(`cut -d' ' -f1 /run/bramble/supervise/${name}.child`)).trim();

describe("a master", () => {
  test("is installed from a release folder, says what it does, and waits until the board is Ready", async () => {
    const output = expectSuccess(
      await master.run(`${release}/install.sh`, {
        INSTALL_BRAMBLE_EXEC: "--tls-san drawer.example --log-level debug",
      }),
    );
    expect(output).toContain("this board (box-1");
    expect(output).toContain("there is no systemd here");
    expect(output).toContain("This machine can be a master.");
    expect(output).toContain("the cluster runs, and this board is its Node box-1");
    expect(output).toContain("bramble token create --print-join");
  });

  test("its kubeconfig names the LAN address, and its certificate the further name", async () => {
    const kubeconfig = expectSuccess(await master.run("cat /etc/bramble/kubeconfig.yaml"));
    expect(kubeconfig).toContain(`https://${masterAddress}:6443`);
    const get = `curl -fsS --cacert /var/lib/bramble/agent/identity/ca.crt --resolve drawer.example:6443:${masterAddress} https://drawer.example:6443/readyz`;
    expect(expectSuccess(await master.run(get))).toBe("ok");
  });

  test("is the process that the supervisor started, with the engine's options", async () => {
    const pid = await supervisedPid(master, "bramble-master");
    expect(expectSuccess(await master.run(`cut -d' ' -f1 /run/bramble/master.pid`)).trim()).toBe(pid);
    const environment = expectSuccess(await master.run(`tr '\\0' '\\n' </proc/${pid}/environ; cat /proc/${pid}/comm`));
    for (const [name, value] of Object.entries(engineOptions)) expect(environment).toContain(`${name}=${value}\n`);
    expect(environment).toEndWith("\nbramble\n");
  });

  test("a second run changes nothing; another flag restarts it", async () => {
    const before = await supervisedPid(master, "bramble-master");
    expect(expectSuccess(await master.run(`${release}/install.sh`))).toContain("nothing has changed");
    expect(await supervisedPid(master, "bramble-master")).toBe(before);
    expectSuccess(await master.run(`${release}/install.sh`, { INSTALL_BRAMBLE_EXEC: "--tls-san drawer.example" }));
    expect(await supervisedPid(master, "bramble-master")).not.toBe(before);
  });

  test("is started again when it dies", async () => {
    const before = await supervisedPid(master, "bramble-master");
    expectSuccess(await master.run(`kill -KILL ${before}`));
    const again =
      "until [ -s /run/bramble/supervise/bramble-master.child ] && curl -fsk https://127.0.0.1:6443/readyz; do sleep 0.2; done";
    expectSuccess(await master.run(again));
    expect(await supervisedPid(master, "bramble-master")).not.toBe(before);
  });

  test("refuses to become a worker", async () => {
    const { code, output } = await master.run(`${release}/install.sh`, {
      BRAMBLE_URL: `https://${masterAddress}:6443`,
      BRAMBLE_TOKEN: "x",
    });
    expect(code).toBe(1);
    expect(output).toContain("this board is a master already");
  });
});

describe("a worker", () => {
  test("is told what is missing", async () => {
    const { code, output } = await worker.run(`${release}/install.sh`, {
      BRAMBLE_URL: `https://${masterAddress}:6443`,
    });
    expect(code).toBe(1);
    expect(output).toContain("a worker needs a join token");
  });

  test("a master of another cluster hands it nothing", async () => {
    const { code, output } = await worker.run(`cat ${release}/install.sh | sh -`, {
      BRAMBLE_URL: `https://${masterAddress}:6443`,
      BRAMBLE_TOKEN: `BR1${"0".repeat(64)}::abcdef.0123456789abcdef`,
    });
    expect(code).toBe(1);
    expect(output).toContain("is not the cluster that the token was made for");
  });

  test("whose token was revoked is told so soon, and joins when it is run again with a good one", async () => {
    const board = await InstallBoard.start(lan, "box-3", `${lan.prefix}.13`);
    try {
      const token = expectSuccess(await master.run("bramble token create")).trim();
      expectSuccess(await master.run(`bramble token revoke ${token.replace(/.*::|\..*/g, "")}`));
      const at = { BRAMBLE_URL: `https://${masterAddress}:6443` };
      const { code, output } = await board.run(`${release}/install.sh`, { ...at, BRAMBLE_TOKEN: token });
      expect([code, output]).toEqual([1, expect.stringContaining("FAIL: bramble-worker ends again and again: ")]);
      expect(output).toContain("the cluster does not accept this token: it has expired or was revoked");
      const good = expectSuccess(await master.run("bramble token create")).trim();
      const joined = expectSuccess(await board.run(`${release}/install.sh`, { ...at, BRAMBLE_TOKEN: good }));
      expect(joined).toContain("this board is Node box-3 and Ready");
      expectSuccess(await board.run("bramble worker leave && bramble-uninstall.sh"));
    } finally {
      board.stop();
    }
  });

  test("joins by the line that the master prints, with what the master hands out", async () => {
    const line = expectSuccess(await master.run("bramble token create --print-join")).trim();
    expect(line).toContain("| sudo ");
    // root needs no sudo, and not every machine has it.
    const output = expectSuccess(await worker.run(line.replace("| sudo ", "| env ")));
    expect(output).toContain(`downloading bramble-linux-${host} from https://${masterAddress}:6443`);
    expect(output).toContain("this board is Node box-2 and Ready");
    expect(expectSuccess(await master.run("bramble status"))).toMatch(/box-2, Ready/);
    expect(expectSuccess(await worker.run("ls /usr/local/share/bramble"))).not.toContain("bramble-linux");
    expect(expectSuccess(await worker.run("stat -c %a /etc/bramble/config.yaml")).trim()).toBe("600");
  });

  test("finds the master by mDNS where a token is all that it is given", async () => {
    const token = expectSuccess(await master.run("bramble token create")).trim();
    const config = expectSuccess(await worker.run("cat /etc/bramble/config.yaml"));
    expectSuccess(await worker.run("sed -i /^server:/d /etc/bramble/config.yaml"));
    const output = expectSuccess(await worker.run(`${release}/install.sh`, { BRAMBLE_TOKEN: token }));
    expect(output).toContain(`found https://${masterAddress}:6443`);
    const found = expectSuccess(await worker.run("cat /etc/bramble/config.yaml"));
    const server = (text: string) => text.split("\n").find((line) => line.startsWith("server:"));
    expect(server(found)).toBe(server(config));
  });

  test("leaves no join token on its card once it has joined", async () => {
    expectSuccess(await worker.run("while grep -qr BR1 /etc/bramble; do sleep 0.2; done"));
    expect(expectSuccess(await worker.run("cat /etc/bramble/config.yaml"))).toContain("# The join token was removed");
  });

  test("a second run needs no token, keeps its master, and downloads no program", async () => {
    const settings = await worker.run("cat /etc/bramble/config.yaml");
    const output = expectSuccess(
      await worker.run(`cat ${release}/install.sh | sh -`, { BRAMBLE_URL: `https://${masterAddress}:6443` }),
    );
    expect(output).not.toContain("downloading bramble-linux");
    expect(output).toContain("nothing has changed");
    expect(await worker.run("cat /etc/bramble/config.yaml")).toEqual(settings);
  });
});

describe("upgrading the fleet", () => {
  const publish = async (program: Uint8Array, version: string): Promise<void> => {
    const offered = makeRelease(program, version);
    // What the master hands out; its own program stays.
    expectSuccess(await master.run(`cp ${offered}/bramble-linux-${host} ${offered}/[SV]* /usr/local/share/bramble/`));
  };
  const versionOf = async (board: InstallBoard): Promise<string> =>
    expectSuccess(await board.run("bramble --version")).trim();

  test("a board gets the master's version, and its identity stays", async () => {
    const next = versionEnding("X");
    await publish(await programOf(next), next);
    const identity = expectSuccess(
      await worker.run(
        "sha256sum /var/lib/bramble/agent/identity/board.json /var/lib/bramble/agent/identity/client.pem",
      ),
    );
    const output = expectSuccess(await master.run("bramble upgrade"));
    expect(output).toContain(`box-2: runs ${next}`);
    expect(output).toContain("all are upgraded");
    expect(await versionOf(worker)).toBe(next);
    expect(
      expectSuccess(
        await worker.run(
          "sha256sum /var/lib/bramble/agent/identity/board.json /var/lib/bramble/agent/identity/client.pem",
        ),
      ),
    ).toBe(identity);
    expect(expectSuccess(await master.run("bramble upgrade"))).toContain("nothing is to be done");
  });

  test("a program that does not run there is not put in place", async () => {
    const next = versionEnding("Y");
    await publish(Buffer.from("#!/bin/sh\nexit 1\n"), next);
    const { code, output } = await master.run("bramble upgrade");
    expect(code).toBe(1);
    expect(output).toContain("it does not run on this board");
    expect(await versionOf(worker)).toBe(versionEnding("X"));
  });

  test("one whose agent ends again and again is taken back by the board itself", async () => {
    const next = versionEnding("Z");
    await publish(await programOf(next, endingAgent), next);
    const { code, output } = await master.run("bramble upgrade");
    expect(code).toBe(1);
    expect(output).toContain("it was started 3 times and was never well");
    expect(await versionOf(worker)).toBe(versionEnding("X"));
    expect(expectSuccess(await master.run("bramble status"))).toMatch(/box-2, Ready/);
  });

  test("what was wrong may be mended and tried again, and the board goes back on request", async () => {
    const next = versionEnding("Z");
    await publish(await programOf(next), next);
    expect(expectSuccess(await master.run("bramble upgrade --node box-2"))).toContain(`box-2: runs ${next}`);
    expect(expectSuccess(await master.run("bramble upgrade --revert"))).toContain(`box-2: runs ${versionEnding("X")}`);
    expect(await versionOf(worker)).toBe(versionEnding("X"));
  });

  test("a board that does not exist is named", async () => {
    const { code, output } = await master.run("bramble upgrade --node box-9");
    expect(code).toBe(1);
    expect(output).toContain("there is no board box-9");
  });
});

describe("uninstalling", () => {
  test("begins with policies in force, addresses of relays, and rules and sets of somebody else", async () => {
    const others =
      "iptables -N MINE; iptables -A MINE -j RETURN; iptables -A FORWARD -j MINE; ipset create mine hash:ip";
    expectSuccess(await worker.run(`set -e; ${others}; ip address add 169.254.43.1/32 dev lo`));
    const token = expectSuccess(await master.run("bramble token dashboard 2>/dev/null"))
      .trim()
      .split("\n")
      .at(-1);
    const create = async (path: string, object: object): Promise<void> => {
      const words = `-H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' -d '${JSON.stringify(object)}'`;
      expectSuccess(await master.run(`curl -fsSk ${words} https://127.0.0.1:6443${path}`));
    };
    const policy = {
      podSelector: {},
      ingress: [{ from: [{ ipBlock: { cidr: "192.0.2.0/24" } }, { podSelector: {} }] }],
    };
    await create("/apis/networking.k8s.io/v1/namespaces/default/networkpolicies", {
      metadata: { name: "few" },
      spec: policy,
    });
    // Its image cannot be had; its network is there before that is known.
    const containers = [{ name: "main", image: "registry.invalid/none" }];
    await create("/api/v1/namespaces/default/pods", {
      metadata: { name: "guarded" },
      spec: { nodeName: "box-2", containers },
    });
    expectSuccess(await worker.run("until ipset list -name | grep -q ^BRAMBLE-NP; do sleep 0.2; done"));
    expect(expectSuccess(await worker.run("iptables-save"))).toMatch(/BRAMBLE-IN-/);
  });

  test.each(["worker", "master"])("a %s leaves nothing of Bramble and all of Docker", async (role) => {
    const board = role === "master" ? master : worker;
    const own =
      "docker ps -q --filter label=io.kubernetes.pod.uid | wc -l; iptables-save; ip6tables-save; ip -br link; ip route; ip -br address; ipset list -name";
    const output = expectSuccess(await board.run("bramble-uninstall.sh"));
    expect(output).toContain(`stopping bramble-${role}`);
    const left = expectSuccess(await board.run(own));
    expect(left).not.toMatch(/KUBE-|BRAMBLE-|bramble|10\.43\.0\.10|169\.254\.43\.1/);
    expect(left).toMatch(/^0\n/);
    // Boards of one machine share its control groups: those of pods go with the last one.
    if (role === "master")
      expect(await board.run("find /sys/fs/cgroup -maxdepth 2 -name 'kubepods*'")).toEqual({ code: 0, output: "" });
    // Docker's own rules.
    expect(left).toContain("DOCKER-USER");
    if (role === "worker") expect(left).toMatch(/-A FORWARD -j MINE[\s\S]*\nmine\n/);
    const files = await board.run(
      "find /etc/bramble /run/bramble /usr/local/bin /usr/local/share/bramble; find /etc/cni -type f",
    );
    // What supervises Docker here stays.
    const bramble = files.output
      .split("\n")
      .filter((line) => /^\/.*(bramble|cni)/.test(line) && !/supervise/.test(line));
    expect(bramble).toEqual(["/etc/bramble", "/run/bramble"]);
    expect(await board.run("docker version >/dev/null && echo Docker goes on")).toEqual({
      code: 0,
      output: "Docker goes on\n",
    });
  });
});
