import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createCertificateAuthority } from "#shared/pki/certificate.ts";
import { certificateFingerprint } from "#shared/pki/certificate-facts.ts";

/** What install.sh and bramble-uninstall.sh do in cases that a whole installation seldom meets. */
const root = join(import.meta.dir, "../..");

interface Ran {
  readonly code: number;
  readonly output: string;
}

function run(command: string[], env: Readonly<Record<string, string>> = {}): Ran {
  const { exitCode, stdout, stderr } = Bun.spawnSync({
    cmd: [
      "env",
      "-i",
      `PATH=${process.env["PATH"]}`,
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
      ...command,
    ],
    stdin: "ignore",
  });
  return { code: exitCode, output: `${stdout}${stderr}` };
}

/** Runs lines with the functions of a script, in a network of its own, with these folders empty and 64 KiB large. */
function withFunctions(script: string, emptied: readonly string[], lines: string): Ran {
  const functions = readFileSync(join(root, script), "utf8").replace(/^main "\$@"[\s\S]*/m, "");
  const mounts = emptied.map((folder) => `mkdir -p ${folder}; mount -t tmpfs -o size=64k tmpfs ${folder}`).join("\n");
  return run([
    "unshare",
    "--net",
    "--mount",
    "--propagation",
    "private",
    "sh",
    "-c",
    `set -e\n${mounts}\n${functions}\n${lines}`,
  ]);
}

test.each([
  ["BRAMBLE_URL", "https://10.0.0.1:6443, https://10.0.0.2:6443"],
  ["BRAMBLE_TOKEN", 'BR1"'],
  ["INSTALL_BRAMBLE_BIN_DIR", "/opt/my programs"],
  ["INSTALL_BRAMBLE_BIN_DIR", "bin"],
  ["INSTALL_BRAMBLE_VERSION", "0.1/*"],
])("%s=%s is refused before anything is done", (name, value) => {
  const { code, output } = run(["sh", join(root, "install.sh")], { [name]: value });
  expect([code, output]).toEqual([1, expect.stringContaining(`FAIL: ${name} `)]);
});

const goodToken = `BR1${"0f".repeat(32)}::abcdef.0123456789abcdef`;
test.each([
  ["as the master prints it", goodToken, 0],
  ["cut short", goodToken.slice(0, -1), 1],
  ["without the hash of its CA", "abcdef.0123456789abcdef", 1],
  ["of something else", "K10b7c::server:secret", 1],
])("a join token %s is judged before anything is done", (_, token, code) => {
  const ran = withFunctions("install.sh", [], `BRAMBLE_TOKEN='${token}'; check_token`);
  expect([ran.code, ran.output]).toEqual([
    code,
    code === 0 ? "" : expect.stringContaining("FAIL: BRAMBLE_TOKEN is no join token"),
  ]);
});

describe("waiting for a program without systemd", () => {
  const wait = (log: readonly string[], more: string): Ran => {
    const lines = [
      "has_systemd() { return 1; }",
      "sleep() { :; }",
      "role=worker etc=/mnt data=/mnt etcd_unit='' own_etcd='' started=$(date +%s)",
      "now=$(date -u +%FT%TZ) before=2001-01-01T00:00:00Z",
      ...log.map((line) => `printf '%s\\n' "${line}" >>/var/log/bramble/bramble-worker.log`),
      more,
    ];
    return withFunctions("install.sh", ["/var/log/bramble", "/mnt"], lines.join("\n"));
  };
  const down = "is_running() { return 1; }";

  test("that ends again and again ends with its reason", () => {
    const { code, output } = wait(
      [
        "$before bramble: an old reason",
        "$now INFO starting",
        "$now bramble: the token has expired",
        "$now supervise: again",
      ],
      `${down}; wait_until_ready`,
    );
    expect([code, output]).toEqual([
      1,
      [
        "bramble: waiting for the program to stay up: the token has expired",
        "bramble: FAIL: bramble-worker ends again and again: the token has expired",
        "    mend: see to that and run this again; meanwhile it is tried on and on (tail -n 50 /var/log/bramble/bramble-worker.log)",
        "",
      ].join("\n"),
    ]);
  });

  test("whose reason nobody knows is waited for", () => {
    expect(wait(["$before bramble: an old reason"], `${down}; waiting_for`).output).toBe("the program to stay up\n");
  });

  test("that cannot join says why", () => {
    const refused = "no master can be reached at https://a:6443: dial tcp 10.0.0.1:6443: connect: connection refused";
    const line = `$now WARN agent: waiting for the master servers=https://a:6443 error=\\"${refused}\\"`;
    expect(wait([line], "is_running() { :; }; waiting_for").output).toBe(
      `this board to get its identity from the master: ${refused}\n`,
    );
  });
});

test("the supervisor's times are of UTC, as their Z says, wherever the board is", () => {
  const supervise = join(root, "systemd/bramble-supervise.sh");
  const lines = `echo line | TZ=EAST-5 ${supervise} log it; cut -d' ' -f1 /var/log/bramble/it.log`;
  const { output } = withFunctions("install.sh", ["/var/log/bramble"], lines);
  expect(Math.abs(Date.parse(output.trim()) - Date.now())).toBeLessThan(3_600_000);
});

test.each(["--help", "-h", "help"])("install.sh %s says what can be set, and installs nothing", (word) => {
  const { code, output } = run(["sh", join(root, "install.sh"), word]);
  expect(code).toBe(0);
  expect(output).toStartWith("Installs Bramble on this machine");
  expect(output).toContain("\n  INSTALL_BRAMBLE_WAIT ");
  expect(output).not.toContain("set -eu");
  expect(output).not.toContain("becomes a");
});

test("install.sh takes no arguments, and says where flags go", () => {
  expect(run(["sh", join(root, "install.sh"), "worker", "--node-label", "disk=ssd"])).toEqual({
    code: 1,
    output: [
      "bramble: FAIL: install.sh takes no argument worker",
      '    mend: flags of Bramble go into a variable: INSTALL_BRAMBLE_EXEC="worker --node-label disk=ssd"; install.sh --help lists all',
      "",
    ].join("\n"),
  });
});

test.each([
  ["--help", 0],
  ["--keep-dta", 2],
])("bramble-uninstall.sh %s says all of what it takes, and removes nothing", (word, code) => {
  const ran = run(["sh", join(root, "bramble-uninstall.sh"), word]);
  expect(ran.code).toBe(code);
  expect(ran.output).toStartWith("Removes Bramble from this machine");
  expect(ran.output).toEndWith("`bramble master leave`.\n");
});

test("a release in a folder that is named from here is found from everywhere", () => {
  const lines =
    "mkdir /mnt/a; : >/mnt/a/SHA256SUMS; cd /mnt; INSTALL_BRAMBLE_SOURCE=a; choose_source; echo $folder_source";
  expect(withFunctions("install.sh", ["/mnt"], lines)).toEqual({ code: 0, output: "/mnt/a\n" });
});

test("a file of the release for which there is no room ends the installation", () => {
  const lines = [
    "share=/mnt/share folder_source=/mnt/release; mkdir -p $share",
    "mkdir /mnt/release; mount -t tmpfs tmpfs /mnt/release",
    "head -c 100000 /dev/zero >/mnt/release/install.sh; cd /mnt/release; sha256sum install.sh >SHA256SUMS",
    "fetch install.sh; echo goes on",
  ];
  const { code, output } = withFunctions("install.sh", ["/mnt"], lines.join("\n"));
  expect(code).not.toBe(0);
  expect(output).not.toContain("goes on");
});

describe("of the authorities that a master offers, only the token's is trusted", () => {
  const trustOf: Readonly<Record<string, string>> = {
    "install.sh": "share=/mnt master_url=https://m BRAMBLE_TOKEN=$token; trust_master; cat $ca",
    "systemd/bramble-first-boot.sh":
      "state=/mnt boot= release= server=https://m; find_installer >&2 || { echo $problem; exit 1; }; cat $state/fetched/ca.crt",
  };
  const trusted = (script: string, offered: string, hash: string): Ran => {
    const lines = `cat >/mnt/offered <<'END'\n${offered}END
      curl() { case $* in *cacerts) cat /mnt/offered >$(echo "$*" | sed 's/.*-o \\([^ ]*\\) .*/\\1/') ;; esac; }
      token=BR1${hash}::abcdef.0123456789abcdef\n`;
    return withFunctions(script, ["/mnt"], lines + trustOf[script]);
  };

  test.each(Object.keys(trustOf))("%s", async (script) => {
    const [own, others] = await Promise.all(["own", "another's"].map((name) => createCertificateAuthority(name)));
    const [good, bad] = [own?.certificatePem ?? "", others?.certificatePem ?? ""];
    const hash = certificateFingerprint(good);
    const alone = { code: 0, output: good };
    expect(trusted(script, good, hash)).toEqual(alone);
    // While authorities are changed there are two.
    expect(trusted(script, bad + good, hash)).toEqual(alone);
    // What curl takes for a certificate as well.
    for (const kind of ["X509 CERTIFICATE", "TRUSTED CERTIFICATE"])
      expect(trusted(script, good + bad.replaceAll("CERTIFICATE", kind), hash)).toEqual(alone);
    const { code, output } = trusted(script, bad, hash);
    expect([code, output]).toEqual([1, expect.stringContaining("is not the cluster that the token was made for")]);
  });
});

test.each([
  ["https://10.0.0.1:6443", "10.0.0.1:6443"],
  ["https://pi.local/", "pi.local:443"],
  ["https://[fd00::1]", "[fd00::1]:443"],
  ["https://[fd00::1]:6443", "[fd00::1]:6443"],
])("the master at %s is known by a name that no board has", (url, place) => {
  const lines = `trust="--cacert f" master_url='${url}'; know_by_name; echo "$trust $by_name"`;
  const output = `--cacert f --connect-to ::${place} https://kubernetes/bramble/v1/dist\n`;
  expect(withFunctions("install.sh", [], lines)).toEqual({ code: 0, output });
});

test("a drop-in is written once, and leaves nothing when it goes", () => {
  const lines = [
    "changed=before",
    'for text in "[Journal]" "[Journal]" "" ""; do drop_in /mnt/journald.conf.d "$text"; echo "changed: $dropped_in"; ls /mnt; done',
    "echo $changed",
  ];
  const folder = "journald.conf.d\n";
  expect(withFunctions("install.sh", ["/mnt"], lines.join("\n"))).toEqual({
    code: 0,
    output: `changed: yes\n${folder}changed: \n${folder}changed: yes\nchanged: \nbefore\n`,
  });
});

test("uninstalling removes no folder below which something is mounted", () => {
  const lines = [
    "mkdir -p /mnt/pods/volume /mnt/photos; : >/mnt/photos/1.jpg; mount --bind /mnt/photos /mnt/pods/volume",
    "remove /mnt/pods; ls /mnt/photos; umount /mnt/pods/volume; remove /mnt/pods; ls /mnt",
  ];
  expect(withFunctions("bramble-uninstall.sh", ["/mnt"], lines.join("\n"))).toEqual({
    code: 0,
    output: [
      "bramble-uninstall: NOT removed, for something is mounted below it: /mnt/pods",
      "1.jpg",
      "bramble-uninstall: removing /mnt/pods",
      "photos\n",
    ].join("\n"),
  });
});

test("uninstalling removes what the kubelet had in folders that it shares, and nothing else there", () => {
  const lines = [
    "kubelet=/mnt/kubelet; logs=/mnt/log/pods",
    "mkdir -p $kubelet/device-plugins $kubelet/plugins/example.com $kubelet/pods/uid/volumes $logs/ns_web_1/web /mnt/log/containers",
    ": >$kubelet/device-plugins/kubelet.sock; : >$kubelet/plugins/example.com/csi.sock; : >/mnt/log/syslog",
    "ln -s /mnt/docker/gone.log $logs/ns_web_1/web/0.log; ln -s $logs/ns_web_1/web/0.log /mnt/log/containers/web.log",
    "ln -s /mnt/log/syslog /mnt/log/containers/other.log",
    "remove_kubelet_folders >/dev/null; cd /mnt; find . ! -type d | sort; find . -type d -empty",
  ];
  expect(withFunctions("bramble-uninstall.sh", ["/mnt"], lines.join("\n"))).toEqual({
    code: 0,
    output: "./kubelet/plugins/example.com/csi.sock\n./log/containers/other.log\n./log/syslog\n",
  });
});

test("uninstalling finds folders that flags or the config file name", () => {
  const lines = [
    "etc=/mnt",
    "printf 'BRAMBLE_ARGS=\"--data-dir /srv/data --root-dir=/srv/kubelet\"\\n' >$etc/worker.env",
    "printf 'data-dir: /other\\npod-logs-dir: \"/srv/log/pods\"\\n' >$etc/config.yaml",
    "find_folders; echo $data $own_data $kubelet $logs",
  ];
  expect(withFunctions("bramble-uninstall.sh", ["/mnt"], lines.join("\n"))).toEqual({
    code: 0,
    output: "/srv/data /srv/data /srv/kubelet /srv/log/pods\n",
  });
});

test("uninstalling sets back what the agent changed of the kernel's network, the first that it found", () => {
  const lines = [
    "run=/mnt; ip link set lo up; cd /proc/sys/net/ipv4/conf/lo; echo 1 >route_localnet; echo 2 >accept_source_route",
    "for line in 'lo/route_localnet 0' 'lo/accept_source_route 0' 'lo/accept_source_route 1' 'gone/forwarding 0'; do echo /proc/sys/net/ipv4/conf/$line; done >/mnt/kernel-settings",
    'echo "/mnt/other 0" >>/mnt/kernel-settings',
    "restore_kernel_settings; cat route_localnet accept_source_route; ls /mnt",
  ];
  const { code, output } = withFunctions("bramble-uninstall.sh", ["/mnt"], lines.join("\n"));
  expect([code, output]).toEqual([0, expect.stringMatching(/as it was\n0\n0\nkernel-settings\n$/)]);
});

test.each([
  ["go when only pods of Bramble's had any", "", ""],
  [
    "stay where somebody else's container has one",
    `iptables -t nat -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment 'dnat name: "podman" id: "b"' -j CNI-DN-b`,
    "CNI-DN-b CNI-HOSTPORT-DNAT CNI-HOSTPORT-MASQ ",
  ],
])("uninstalling, chains of host ports %s", (_, more, left) => {
  const lines = [
    "for chain in CNI-HOSTPORT-DNAT CNI-HOSTPORT-MASQ CNI-DN-a; do iptables -t nat -N $chain; done",
    more && "iptables -t nat -N CNI-DN-b",
    `iptables -t nat -A CNI-HOSTPORT-DNAT -p tcp -m comment --comment 'dnat name: "bramble" id: "a"' -j CNI-DN-a`,
    more,
    "iptables -t nat -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
    "iptables -t nat -A POSTROUTING -j CNI-HOSTPORT-MASQ",
    "iptables -t nat -A POSTROUTING -s 192.0.2.1 -j MASQUERADE",
    "remove_rules iptables >/dev/null; iptables-save -t nat | sed -n 's/^:\\(CNI[^ ]*\\).*/\\1/p' | sort | tr '\\n' ' '",
    "iptables -t nat -S | grep -c MASQUERADE",
  ];
  expect(withFunctions("bramble-uninstall.sh", [], lines.join("\n"))).toEqual({ code: 0, output: `${left}1\n` });
});

test("what is supervised is started again later each time it fails, and at once where it ends in good order", () => {
  // The first two runs fail, the next two end well, the fifth goes on.
  const program =
    "echo run >>/mnt/runs; case $(wc -l </mnt/runs) in 1 | 2) exit 1 ;; 3 | 4) exit 0 ;; *) exec sleep 1000 ;; esac";
  const lines = [
    "mkdir -p /mnt/supervised /mnt/state /mnt/logs",
    `printf '#!/bin/sh\\n%s\\n' '${program}' >/mnt/supervised/it; chmod 755 /mnt/supervised/it`,
    `sed 's,^programs=.*,programs=/mnt/supervised,; s,^state=.*,state=/mnt/state,; s,^logs=.*,logs=/mnt/logs,' ${join(root, "systemd/bramble-supervise.sh")} >/mnt/supervise; chmod 755 /mnt/supervise`,
    "/mnt/supervise start it >/dev/null; until [ $(wc -l </mnt/runs) = 5 ]; do sleep 0.1; done",
    "/mnt/supervise stop it >/dev/null; sed 's/.* supervise: it //' /mnt/logs/it.log",
  ];
  const { code, output } = withFunctions("install.sh", ["/mnt"], lines.join("\n"));
  expect([code, output.trim().split("\n")]).toEqual([
    0,
    [
      "ended with status 1; starting it again in 1 s",
      "ended with status 1; starting it again in 2 s",
      "ended with status 0; starting it again in 1 s",
      "ended with status 0; starting it again in 1 s",
    ],
  ]);
});
