import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { createLan, removeLan } from "#tools/local-cluster/lan.ts";
import { InstallBoard, takeLan } from "./install-board.ts";
import { expectSuccess, makeRelease, removeReleases } from "./release.ts";

/** Boards that join by themselves from what lies on their boot partition, cut off on the way as by a pulled plug. */
setDefaultTimeout(900_000);
const lan = await takeLan("fst");
const url = `https://${lan.prefix}.11:6443`;
const script = join(import.meta.dir, "../../systemd/bramble-first-boot.sh");
const boot = "/boot/firmware";
const log = `${boot}/bramble-first-boot.log`;
const armed = "/etc/systemd/system/multi-user.target.wants/bramble-first-boot.service";
const runs = "/usr/local/lib/bramble/first-boot/first-boot.sh run";
let release = "";
let token = "";
let master: InstallBoard;
let worker: InstallBoard;
let offline: InstallBoard;
let cloud: InstallBoard;

beforeAll(async () => {
  release = makeRelease();
  createLan(lan);
  master = await InstallBoard.start(lan, "box-1", `${lan.prefix}.11`);
  worker = await InstallBoard.start(lan, "box-2", `${lan.prefix}.12`);
  offline = await InstallBoard.start(lan, "box-3", `${lan.prefix}.13`);
  cloud = await InstallBoard.start(lan, "box-4", `${lan.prefix}.14`);
  expectSuccess(await master.run(`${release}/install.sh`));
  token = expectSuccess(await master.run("bramble token create")).trim();
});

afterAll(() => {
  for (const board of [master, worker, offline, cloud]) board?.stop();
  removeLan(lan);
  removeReleases();
});

const write = async (board: InstallBoard, lines: readonly string[], end = "\n"): Promise<void> => {
  const text = lines.map((line) => line + end).join("");
  const encoded = Buffer.from(text).toString("base64");
  expectSuccess(await board.run(`mkdir -p ${boot}; echo ${encoded} | base64 -d >${boot}/bramble.conf`));
};
const textOf = async (board: InstallBoard, file: string): Promise<string> =>
  (await board.run(`cat ${file} 2>/dev/null`)).output;
/**
 * Runs what the unit runs, and pulls the plug once it has printed the words, unless it has ended with them.
 * @returns whether it has come to its end without them, since the cut before came when the board was on its way already.
 */
const cutAt = async (board: InstallBoard, words: string): Promise<"cut" | "joined"> => {
  // What the run before printed must not be taken for its words.
  const line = `: >/tmp/out; setsid ${runs} >/tmp/out 2>&1 & p=$!; until grep -q "${words}" /tmp/out; do sleep 0.05; kill -0 $p || grep -q "${words}" /tmp/out || exit 9; done; kill -KILL -$p || true`;
  const { code, output } = await board.run(line);
  if (code === 0) return "cut";
  if ((await textOf(board, log)).includes("done: this board has joined")) return "joined";
  throw new Error(`${words}: ${output}\n${await textOf(board, "/tmp/out")}`);
};

describe("a worker with a settings file", () => {
  test("is armed from its boot partition", async () => {
    const { code, output } = await worker.run(`sh ${script}`);
    expect([code, output]).toEqual([1, expect.stringContaining("neither bramble.conf on the boot partition")]);
    await write(worker, ["role=worker"]);
    expectSuccess(await worker.run(`cp ${script} ${boot}/ && sh ${boot}/bramble-first-boot.sh`));
    expect(await textOf(worker, armed)).toContain(
      "ExecStart=/bin/sh /usr/local/lib/bramble/first-boot/first-boot.sh run",
    );
    expect(await textOf(worker, log)).toContain("armed: this board joins by itself");
  });

  test.each([
    [["role=maste"], "line 1: role: expected master or worker, got maste"],
    [["# note", "sever=https://x"], "line 2: there is no setting named sever"],
    [["role worker"], "line 1: expected KEY=VALUE"],
    [["label=a=$(reboot)"], "line 1: label: expected KEY=VALUE"],
    [["server=http://x:6443"], "line 1: server: expected https://HOST:6443"],
    [["role=worker"], "a worker needs token="],
    [["token=abc", `server=${url}`], "the token names no cluster"],
    [[`token=BR1${"0".repeat(64)}::abcdef.0123456789abcdef`, `server=${url}`], "is not the cluster that the token"],
  ])("%p is told on the boot partition, and tried again", async (lines, problem) => {
    await write(worker, lines);
    expect(await cutAt(worker, "it does not go on; trying again")).toBe("cut");
    expect(await textOf(worker, log)).toContain(problem);
  });

  test("goes on after each cut, and joins", async () => {
    // As an editor of Windows leaves it.
    await write(
      worker,
      ["\ufeffrole=worker", `server = ${url}`, `token=${token}`, "name=by-itself", "label=disk=card", "# end"],
      "\r\n",
    );
    const steps = [
      "this board joins by itself",
      "downloading bramble-uninstall.sh",
      "downloading bramble-linux-",
      "starting Docker",
      "looking at this machine",
      "installing /usr/local/bin/bramble",
      "waiting for",
    ];
    for (const step of steps.slice(0, -1)) expect(await cutAt(worker, step)).toBe("cut");
    // A board that was started before the last of these cuts struck has nothing to wait for.
    if ((await cutAt(worker, steps.at(-1) ?? "")) === "cut") {
      expect(await textOf(worker, `${boot}/bramble.conf`)).toContain(token);
      expectSuccess(await worker.run(runs));
    }
    expect(expectSuccess(await master.run("bramble kubectl get node by-itself --show-labels"))).toContain("disk=card");
  });

  test("leaves no token on the boot partition, nor what would begin again", async () => {
    const settings = await textOf(worker, `${boot}/bramble.conf`);
    expect(settings).not.toContain("BR1");
    expect(settings).toContain("label=disk=card");
    expect(await textOf(worker, log)).toContain("this board is Node by-itself and Ready");
    expect(await textOf(worker, log)).toMatch(/done: this board has joined\. [^\n]*\n$/);
    const places = "/etc/systemd /usr/local/lib/bramble /var/lib";
    const left = await worker.run(`find ${places} -maxdepth 3 -name '*first-boot*'`);
    expect(left.output).toBe("");
  });
});

describe("a worker without internet or a master's address", () => {
  test("restarts once, for boot arguments that were switched on", async () => {
    await write(offline, [`token=${token}x`]);
    // Its firmware does not take them; what a restart would do is told.
    const restarting =
      "printf '#!/bin/sh\\necho restarted >>/tmp/restarts\\n' >/usr/local/sbin/reboot; chmod 755 /usr/local/sbin/reboot";
    expectSuccess(
      await offline.run(
        `${restarting}; cp ${script} ${boot}/; cp -r ${release} ${boot}/bramble-bundle; echo cgroup_enable=memory cgroup_memory=1 >${boot}/cmdline.txt`,
      ),
    );
    expectSuccess(await offline.run(`sh ${boot}/bramble-first-boot.sh; ${runs}`));
    expect(await textOf(offline, "/tmp/restarts")).toBe("restarted\n");
    expect(await cutAt(offline, "it does not go on; trying again")).toBe("cut");
    expect(await textOf(offline, "/tmp/restarts")).toBe("restarted\n");
  });

  test("what is mended on the card counts; it finds the master by mDNS and joins from the card", async () => {
    await write(offline, [`token=${token}`, "flags=--low-memory on --data-dir /var/lib/moved"]);
    const output = expectSuccess(await offline.run(runs));
    expect(output).toContain(`found ${url}`);
    expect(output).not.toContain("downloading");
    expect(await textOf(offline, log)).toContain("this board is Node box-3 and Ready");
    expect(await textOf(offline, "/etc/bramble/worker.env")).toContain("--low-memory on");
    // Where install.sh looked for the name of its Node.
    expect(await textOf(offline, "/var/lib/moved/agent/identity/board.json")).toContain("box-3");
  });
});

describe("user-data of cloud-init", () => {
  test("has the settings and this script, and arms the board", async () => {
    await write(offline, ["role=worker", `server=${url}`, `token=${token}`]);
    const text = expectSuccess(await offline.run(`sh ${script} user-data ${boot}/bramble.conf`));
    const parsed = Bun.YAML.parse(text) as {
      write_files: { path: string; content: string; encoding?: string }[];
      runcmd: string[][];
    };
    const [settings, program] = parsed.write_files;
    expect(text).toStartWith("#cloud-config\n");
    expect(settings).toMatchObject({
      path: "/etc/bramble/first-boot.conf",
      content: `role=worker\nserver=${url}\ntoken=${token}\n`,
    });
    expect(Buffer.from(program?.content ?? "", "base64").toString()).toBe(await Bun.file(script).text());
    expect(parsed.runcmd).toEqual([["sh", program?.path ?? ""]]);
    await write(offline, ["rol=worker"]);
    expect((await offline.run(`sh ${script} user-data ${boot}/bramble.conf`)).code).toBe(1);
  });

  test("beside a bundle on the boot partition it installs from there, and the token goes from user-data", async () => {
    const settings = "/etc/bramble/first-boot.conf";
    const lines = `role=worker\nserver=${url}\ntoken=${token}\nname=by-cloud-init\n`;
    expectSuccess(
      await cloud.run(
        `mkdir -p ${boot} /etc/bramble; cp -r ${release} ${boot}/bramble-bundle; printf '${lines}' >${settings}; sh ${script} user-data ${settings} >${boot}/user-data`,
      ),
    );
    expect(await textOf(cloud, `${boot}/user-data`)).toContain(token);
    // As cloud-init leaves it and runs it.
    expectSuccess(await cloud.run(`mkdir -p /opt/own; cp ${script} /opt/own/; sh /opt/own/bramble-first-boot.sh`));
    const kept = "/var/lib/cloud/instances/nocloud";
    const keep = `mkdir -p ${kept}; cp ${boot}/user-data ${kept}/user-data.txt; (printf '\\0'; cat ${boot}/user-data) >${kept}/obj.pkl`;
    const sizes = expectSuccess(await cloud.run(`${keep}; stat -c %s ${kept}/*`));
    const output = expectSuccess(await cloud.run(runs));
    expect(output).not.toContain("downloading");
    expect(expectSuccess(await cloud.run(`! grep -r ${token} ${kept}; stat -c %s ${kept}/*`))).toBe(sizes);
    expect(expectSuccess(await cloud.run(`cat ${kept}/user-data.txt`))).toContain(`token=${"x".repeat(token.length)}`);
    expect(await textOf(cloud, log)).toContain("this board is Node by-cloud-init and Ready");
    const left = await textOf(cloud, `${boot}/user-data`);
    expect(left).not.toContain(token);
    expect((Bun.YAML.parse(left) as { write_files: { content: string }[] }).write_files[0]?.content).toContain(
      `server=${url}\n# the token was removed`,
    );
    expect((await cloud.run(`test -e ${settings}`)).code).toBe(1);
  });
});
