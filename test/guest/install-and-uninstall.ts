import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { run } from "#tools/local-cluster/run.ts";
import { Vm } from "#tools/local-cluster/vm.ts";
import { type DebianRelease, type GuestMachine, vmImage } from "#tools/local-cluster/vm-image.ts";
import { clientBinaries } from "../support/kubectl.ts";
import { type Difference, differences, type MachineState, machineState } from "./machine-state.ts";
import { patience_s, untilSo } from "./patience.ts";

const root = resolve(import.meta.dir, "../..");
/** Where the guest sees the bundle. */
const bundle = "/mnt/stick/bramble-bundle";

/**
 * A master with an agent from an offline bundle on a machine that reaches nothing, pods and a Service on it, and then what the
 * uninstallation leaves of all that: the whole machine is compared. Emulated, so it takes its time; BRAMBLE_GUEST_LOG names a
 * file for the journal.
 */
export function installAndUninstall(release: DebianRelease, machine: GuestMachine = "pc"): void {
  setDefaultTimeout(7_200_000);
  const dir = mkdtempSync("/var/tmp/bramble-guest-");
  const vm = new Vm(join(dir, "guest"));
  const kubeconfig = join(dir, "kubeconfig");
  const began = performance.now();
  const say = (what: string): void =>
    console.log(`${release} on ${machine}, ${Math.round((performance.now() - began) / 1000)} s: ${what}`);

  const inGuest = (line: string): string => run(vm.inside(["sh", "-c", line]));
  const kubectl = (...args: string[]): string => run([clientBinaries().kubectl, "--kubeconfig", kubeconfig, ...args]);
  const until = async (what: string, look: () => boolean): Promise<void> => {
    say(`waiting for ${what}`);
    await untilSo(what, look);
  };
  const pods = (): Pod[] => (JSON.parse(kubectl("get", "pods", "-o", "json")) as { items: Pod[] }).items;
  const isReady = ({ status }: Pod): boolean =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  const untilReady = (): Promise<void> =>
    until("four pods", () => {
      const found = pods().filter(({ metadata }) => metadata.deletionTimestamp === undefined);
      return found.length === 4 && found.every(isReady);
    });
  const install = async (): Promise<string> => {
    say("install.sh");
    const output = inGuest(`INSTALL_BRAMBLE_WAIT=${patience_s} INSTALL_BRAMBLE_PROBE_FILES=memory \\
      INSTALL_BRAMBLE_JOURNAL=64M INSTALL_BRAMBLE_CLOCK_SAVE=1h ${bundle}/install.sh 2>&1`);
    // Through the emulator's port; the certificate is good for this address too.
    const here = inGuest("cat /etc/bramble/kubeconfig.yaml").replace(
      /server: .*/,
      `server: "https://127.0.0.1:${vm.apiPort}"`,
    );
    writeFileSync(kubeconfig, here, { mode: 0o600 });
    await until("the board", () => /debian +Ready/.test(kubectl("get", "nodes")));
    return output;
  };
  const untilServed = (url: string): Promise<void> =>
    until(url, () => inGuest(`curl -fsS --max-time 60 ${url}`).includes("stand-in for nginx"));
  let before: MachineState;
  const sinceBefore = (): Difference[] => {
    say("looking at the whole machine");
    return differences(before, machineState(inGuest)).filter((line) => !mayDiffer(line));
  };

  beforeAll(async () => {
    const { busybox } = vmImage({ bare: false, release, machine }, say);
    const processor = machine === "pi-5" ? "arm64" : "amd64";
    const archives = run([
      ...[join(root, "tools/images"), "--output", join(dir, "images")],
      ...["--architecture", processor, "--busybox", busybox],
    ])
      .trim()
      .split("\n");
    mkdirSync(join(dir, "stick"));
    const programs = machine === "pi-5" ? "arm64" : "x64";
    run([join(root, "tools/bundle.sh"), "--arch", programs, join(dir, "bundle.tar"), ...archives]);
    run(["tar", "-C", join(dir, "stick"), "-xf", join(dir, "bundle.tar")]);
    const shares = { stick: join(dir, "stick") };
    const hardware = { memory_MiB: 2048, cpus: 2, machine };
    const plan = { ...hardware, bare: false, release, isolated: true, hostname: "debian", shares };
    await vm.create(plan, say);
    await vm.powerOn();
    // Its ssh answers before all else has started; "degraded" is an end of that too.
    inGuest("systemctl is-system-running --wait || true");
    // The first container of all makes things of Docker's own; and whoever asks iptables for a table makes that.
    inGuest(
      "docker load --quiet --input /mnt/stick/bramble-bundle/images-busybox_1.37.tar; docker run --rm busybox:1.37 true",
    );
    inGuest("docker rmi busybox:1.37");
    say("looking at the whole machine");
    before = machineState(inGuest);
  });

  afterAll(async () => {
    const log = process.env["BRAMBLE_GUEST_LOG"];
    if (log !== undefined && vm.powered) writeFileSync(log, inGuest("journalctl --no-pager -o short-monotonic"));
    if (vm.exists) await vm.remove();
    rmSync(dir, { recursive: true });
  });

  describe(`a master on Debian ${release} (${machine}), from an offline bundle`, () => {
    test("is installed by install.sh, with its images", async () => {
      const output = await install();
      expect(output).toContain("This machine can be a master.");
      expect(output).toContain("the cluster runs, and this board is its Node debian");
    });

    test("runs pods and a Service", async () => {
      for (const file of [join(root, "examples/hello.yaml"), workFile(dir)])
        await until(`apply of ${file}`, () => kubectl("apply", "-f", file) !== "");
      await untilReady();
      let ip = "";
      await until("the Service", () => {
        ip = kubectl("get", "service", "hello", "-o", "jsonpath={.spec.clusterIP}");
        return ip !== "";
      });
      for (const url of [`http://${ip}/`, "http://127.0.0.1:30080/", "http://127.0.0.1:8088/"]) await untilServed(url);
      expect(inGuest("findmnt --noheadings --output FSTYPE,TARGET | grep empty-dir")).toContain("tmpfs");
    });

    test("is content with itself: check, status, units, journal", () => {
      say("bramble check, bramble status");
      expect(inGuest("bramble check 2>&1")).not.toContain("FAIL");
      expect(inGuest("bramble status 2>&1")).toContain("debian");
      const units = inGuest("systemctl status --no-pager bramble-master bramble-etcd || true");
      expect(units).toMatch(/bramble-master.service; enabled.*\n(.*\n)* +Active: active \(running\)/);
      expect(units).toMatch(/bramble-etcd.service; disabled.*\n(.*\n)* +Active: inactive/);
      expect(inGuest("systemctl --failed --no-legend")).toBe("");
      expect(inGuest("systemd-analyze verify /etc/systemd/system/bramble-*.service 2>&1 | grep bramble || true")).toBe(
        "",
      );
      const journal = "journalctl --no-pager -o cat -u bramble-master -u docker -u containerd";
      expect(inGuest(`${journal} -p err`)).toBe("");
      expect(inGuest(`${journal} | grep '^ERROR' || true`)).toBe("");
    });

    test("uninstalled with --keep-data leaves settings and state, and nothing else", () => {
      say("bramble-uninstall.sh --keep-data");
      expect(inGuest("bramble-uninstall.sh --keep-data 2>&1")).not.toContain("NOT");
      const left = sinceBefore();
      expect(left.filter((line) => !/ \/(etc|var\/lib)\/bramble([ /]|$)/.test(line))).toEqual(imagesOfPods);
      expect(left.join("\n")).toContain("/etc/bramble/kubeconfig.yaml");
    });

    test("goes on with the same cluster when it is installed again", async () => {
      const known = authorityIn(kubeconfig);
      await install();
      expect(authorityIn(kubeconfig)).toBe(known);
      // The API has the pods as they were until the agent has seen that their containers are gone.
      await untilServed("http://127.0.0.1:30080/");
      await untilReady();
    });

    test("uninstalled leaves nothing but images, and Docker as it was", () => {
      say("bramble-uninstall.sh");
      expect(inGuest("bramble-uninstall.sh 2>&1")).not.toContain("NOT");
      expect(sinceBefore()).toEqual(imagesOfPods);
      expect(inGuest("docker run --rm busybox:1.37 echo fine")).toContain("fine");
    });

    test("boots as it did before", async () => {
      say("reboot");
      await vm.reboot();
      inGuest("systemctl is-system-running --wait || true");
      expect(inGuest("systemctl --failed --no-legend")).toBe("");
      // The kernel derives some settings from the memory that it finds.
      expect(sinceBefore().filter((line) => !/^[+-] settings: /.test(line))).toEqual(imagesOfPods);
    });
  });
}

/** Docker's, as README says: what nobody uses goes with `docker image prune -a`. */
const imagesOfPods = ["+ images: busybox:1.37", "+ images: nginx:1.29-alpine"];

/** What was loaded stays in the kernel until the next boot, with settings that are its own. */
function mayDiffer(line: Difference): boolean {
  return /^[+-] modules: /.test(line);
}

const authorityIn = (kubeconfig: string): string | undefined =>
  /certificate-authority-data: .*/.exec(readFileSync(kubeconfig, "utf8"))?.[0];

/** A pod with what is mounted for it and a port of the board. */
function workFile(dir: string): string {
  const file = join(dir, "work.json");
  writeFileSync(
    file,
    JSON.stringify({
      apiVersion: "v1",
      kind: "List",
      items: [
        { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "words" }, data: { hello: "world" } },
        {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "mounts" },
          spec: {
            containers: [
              {
                name: "web",
                image: "nginx:1.29-alpine",
                ports: [{ containerPort: 80, hostPort: 8088 }],
                volumeMounts: [
                  { name: "memory", mountPath: "/memory" },
                  { name: "words", mountPath: "/words" },
                ],
              },
            ],
            volumes: [
              { name: "memory", emptyDir: { medium: "Memory" } },
              { name: "words", configMap: { name: "words" } },
            ],
          },
        },
      ],
    }),
  );
  return file;
}
