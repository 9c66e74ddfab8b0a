import { describe, expect, test } from "bun:test";
import { parse } from "yaml";
import { renderComponentPod } from "#shared/board/component-pod.ts";
import { loadSettings } from "#shared/config/load.ts";
import { masterOptions } from "#shared/config/settings.ts";
import { controlPlanePods, renderSettings } from "./control-plane-pods.ts";

const settingsOf = (flags: Record<string, unknown>) =>
  loadSettings(masterOptions, { "as-pods": true, ...flags }, undefined);
const podsOf = (flags: Record<string, unknown>) => {
  const settings = settingsOf(flags);
  return controlPlanePods(settings, {
    path: "/var/lib/bramble/as-pods/config.yaml",
    content: renderSettings(settings),
  });
};

describe("the control plane as pods", () => {
  test("has an etcd where the master has one of its own", () => {
    expect(podsOf({}).map(({ name }) => name)).toEqual(["kube-apiserver", "kube-controller-manager", "kube-scheduler"]);
    expect(podsOf({ store: "etcd" }).map(({ name }) => name)).toContain("etcd");
    expect(podsOf({ store: "etcd=https://10.0.0.1:2379" }).map(({ name }) => name)).not.toContain("etcd");
  });

  test("gets the settings that differ from the usual, and other pods when they change", () => {
    expect(parse(renderSettings(settingsOf({ "https-port": "7443", disable: "dns,ingress" })))).toEqual({
      "as-pods": true,
      "https-port": 7443,
      disable: ["dns", "ingress"],
    });
    const waits = settingsOf({ "shutdown-grace-period": "1m30s", "authorization-mode": "RBAC" });
    // As flags are read, so is the file.
    expect(loadSettings(masterOptions, parse(renderSettings(waits)), undefined)).toEqual(waits);
    const hashOf = (flags: Record<string, unknown>) => podsOf(flags)[0]?.annotations?.["bramble.dev/config-hash"];
    expect(hashOf({})).toBe(hashOf({}));
    expect(hashOf({})).not.toBe(hashOf({ "log-level": "debug" }));
  });

  test("only the API server may write where keys and state are", () => {
    for (const { name, mounts } of podsOf({ "oidc-ca-file": "/etc/oidc.crt" })) {
      const data = mounts.find(({ path }) => path === "/var/lib/bramble");
      expect({ name, readOnly: data?.isReadOnly ?? false }).toEqual({ name, readOnly: name !== "kube-apiserver" });
      expect(mounts.some(({ path }) => path === "/etc/oidc.crt")).toBe(name === "kube-apiserver");
    }
  });

  test("the API server sees the files of who may do what: one by one, or with their folder where it is there anyway", () => {
    const pathsOf = (file: string): readonly string[] =>
      podsOf({ "authorization-config": file, "audit-policy-file": file })
        .filter(({ name }) => name === "kube-apiserver")
        .flatMap(({ mounts }) => mounts.map(({ path }) => path));
    expect(pathsOf("/srv/who.yaml")).toContain("/srv/who.yaml");
    expect(pathsOf("/etc/bramble/who.yaml")).toContain("/etc/bramble");
    expect(pathsOf("/etc/bramble/who.yaml")).not.toContain("/etc/bramble/who.yaml");
  });

  test("it sees every file that it is to read, and writes its audit log where it is to be", () => {
    const read = {
      "admission-control-config-file": "/srv/admission.yaml",
      "client-ca-file": "/srv/clients.crt",
      "encryption-provider-config": "/srv/keys.yaml",
      "token-auth-file": "/srv/tokens.csv",
      "tls-sni-cert-key": ["/srv/web.crt,/srv/web.key:web.example.org,www.example.org"],
    };
    const [apiServer] = podsOf({ ...read, "audit-log-path": "/var/log/kubernetes/audit.log" });
    const writable = apiServer?.mounts.filter(({ isReadOnly }) => !isReadOnly).map(({ path }) => path);
    expect(writable).toContain("/var/log/kubernetes");
    const files = apiServer?.mounts.filter(({ type }) => type === "File").map(({ path }) => path);
    expect(files?.sort()).toEqual(
      ["admission.yaml", "clients.crt", "keys.yaml", "tokens.csv", "web.crt", "web.key"].map((name) => `/srv/${name}`),
    );
  });
});

test("the API server alone sees where key services are", () => {
  const settings = settingsOf({ "encryption-provider-config": "/srv/keys.yaml" });
  const pods = controlPlanePods(settings, { path: "/c.yaml", content: "" }, ["/run/kms"]);
  const seeing = pods.filter(({ mounts }) => mounts.some(({ path }) => path === "/run/kms"));
  expect(seeing.map(({ name }) => name)).toEqual(["kube-apiserver"]);
});

test("a manifest is as kubeadm's: critical, on the board's network, with probes on loopback", () => {
  const [apiServer] = podsOf({});
  if (!apiServer) throw new Error("no pod");
  const pod = renderComponentPod(apiServer, "bramble.local/bramble:1", "/usr/local/bin/bramble");
  expect(pod.metadata).toMatchObject({
    name: "kube-apiserver",
    namespace: "kube-system",
    labels: { component: "kube-apiserver", tier: "control-plane" },
  });
  expect(pod.spec).toMatchObject({
    hostNetwork: true,
    priorityClassName: "system-node-critical",
    priority: 2_000_001_000,
  });
  const [container] = pod.spec?.containers ?? [];
  expect(container).toMatchObject({
    command: ["/usr/local/bin/bramble", "apiserver", "--config=/var/lib/bramble/as-pods/config.yaml"],
    imagePullPolicy: "Never",
    livenessProbe: { httpGet: { host: "127.0.0.1", path: "/livez", port: 6443, scheme: "HTTPS" } },
    readinessProbe: { httpGet: { path: "/readyz" } },
  });
  const names = pod.spec?.volumes?.map(({ name }) => name) ?? [];
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(name).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
});
