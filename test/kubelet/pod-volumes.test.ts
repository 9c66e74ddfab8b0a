/** What pods get of the API: environment, volumes, and what becomes of them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { configMaps, pods, secrets, services } from "#shared/api/resources.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, lasting, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

describe.skipIf(!canRunDockerd())("volumes of pods", () => {
  let board: KubeletBoard;
  beforeAll(async () => {
    board = await KubeletBoard.start();
  }, 300_000);
  afterAll(() => board?.stop(), 300_000);

  test("a pod with environment and volumes of every kind from the API", async () => {
    const create = { namespace: "default" };
    await board.api.create(services, {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "web-front", namespace: "default" },
      spec: { clusterIP: "10.43.0.7", clusterIPs: ["10.43.0.7"], ports: [{ name: "http", port: 80, protocol: "TCP" }] },
    });
    await board.api.create(
      configMaps,
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { colour: "red", "a.txt": "one" } },
      create,
    );
    await board.api.create(
      secrets,
      {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "keys" },
        data: { key: Buffer.from("s3cret").toString("base64") },
      },
      create,
    );
    const lastWords = "that is all";
    const script = `
      echo "env $COLOUR $KEY $GREETING $WEB_FRONT_SERVICE_HOST $WEB_FRONT_PORT_80_TCP_ADDR $NAME $LIMIT"
      echo "files $(cat /config/a.txt) $(cat /secret/key) $(cut -c 1-2 /all/token) $(cat /all/labels)"
      echo "modes $(stat -c %a /secret/..data/key) $(stat -c %a /scratch) $(stat -c %g /scratch)"
      echo "sub $(cat /single)"
      echo "write $( (echo x > /config/b.txt) 2>/dev/null || echo refused) $(echo y > /config/nested/y && cat /scratch/y)"
      cat /etc/resolv.conf /etc/hosts; hostname; echo "${lastWords}"
      ${wait}`;
    await board.api.create(
      pods,
      lasting("everything", {
        securityContext: { fsGroup: 1234 },
        hostAliases: [{ ip: "192.0.2.9", hostnames: ["printer", "printer.lan"] }],
        containers: [
          shell("main", script, {
            resources: { limits: { memory: "64Mi", cpu: "500m" }, requests: { memory: "64Mi", cpu: "500m" } },
            envFrom: [{ configMapRef: { name: "absent", optional: true } }],
            env: [
              { name: "COLOUR", valueFrom: { configMapKeyRef: { name: "settings", key: "colour" } } },
              { name: "KEY", valueFrom: { secretKeyRef: { name: "keys", key: "key" } } },
              { name: "GREETING", value: "hi-$(COLOUR)-$(NOBODY)-$$(COLOUR)" },
              { name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
              { name: "LIMIT", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
            ],
            volumeMounts: [
              { name: "config", mountPath: "/config" },
              { name: "secret", mountPath: "/secret", readOnly: true },
              { name: "all", mountPath: "/all" },
              { name: "scratch", mountPath: "/scratch" },
              { name: "config", mountPath: "/single", subPath: "a.txt" },
              { name: "scratch", mountPath: "/config/nested" },
            ],
          }),
        ],
        volumes: [
          { name: "config", configMap: { name: "settings" } },
          { name: "secret", secret: { secretName: "keys", defaultMode: 0o400 } },
          { name: "scratch", emptyDir: {} },
          {
            name: "all",
            projected: {
              sources: [
                { serviceAccountToken: { path: "token", expirationSeconds: 3600 } },
                { downwardAPI: { items: [{ path: "labels", fieldRef: { fieldPath: "metadata.labels" } }] } },
              ],
            },
          },
        ],
      }),
    );
    const running = await board.untilPod("everything", isReady);
    expect(running.status).toMatchObject({ phase: "Running", hostIP: "192.0.2.1", qosClass: "Guaranteed" });
    expect(running.status?.podIP).toMatch(/^10\.88\.0\./);
    const [status] = running.status?.containerStatuses ?? [];
    expect(status).toMatchObject({ name: "main", ready: true, started: true, restartCount: 0 });
    expect(status?.containerID).toMatch(/^docker:\/\/[0-9a-f]{64}$/);

    let output = "";
    for (; !output.includes(lastWords); await Bun.sleep(50)) output = await board.logsOf("everything", "main");
    expect(output).toContain("env red s3cret hi-red-$(NOBODY)-$(COLOUR) 10.43.0.7 10.43.0.7 everything 64\n");
    expect(output).toContain('files one s3cret ey app="everything"\n');
    expect(output).toContain("modes 440 2777 1234\n");
    expect(output).toContain("sub one\n");
    // What the kubelet writes is no container's to change; other volumes may be mounted in it all the same.
    expect(output).toContain("write refused y\n");
    expect(output).toContain("search default.svc.cluster.local svc.cluster.local cluster.local");
    expect(output).toContain("nameserver 10.43.0.10");
    expect(output).toContain("192.0.2.9\tprinter\tprinter.lan");
    expect(output).toContain(`${running.status?.podIP}\teverything`);
    expect(await board.reasonsOf("everything")).toEqual(expect.arrayContaining(["Pulled", "Created", "Started"]));

    // What changes in the API shows in the files.
    await board.api.patch(
      configMaps,
      { namespace: "default", name: "settings" },
      { type: "merge", body: { data: { "a.txt": "two" } } },
    );
    const { id = "" } = (await board.kubelet?.findContainer("default", "everything", "main")) ?? {};
    for (let shown = ""; shown !== "two"; await Bun.sleep(50)) {
      shown = (await board.runtime.execSync(id, ["cat", "/config/a.txt"], 60_000)).stdout;
    }

    await board.api.delete(pods, { namespace: "default", name: "everything" });
    await board.untilGone("everything");
    for (let left = 1; left > 0; await Bun.sleep(50)) {
      const all = await board.runtime.listContainers();
      left = all.filter(({ pod }) => pod.name === "everything").length;
    }
    expect(await board.reasonsOf("everything")).toContain("Killing");
  }, 300_000);

  test("volumes in memory, subpaths by expression, users and limits of privilege", async () => {
    const script = `
      echo "tmpfs $(grep ' /mem ' /proc/mounts | cut -d' ' -f1,3) $(stat -c %a /mem)"
      echo "who $(id -u) $(id -g) $(id -G)"
      echo "root $(touch /file 2>/dev/null && echo writable || echo read-only)"
      echo "privileges $(grep NoNewPrivs /proc/self/status | tr -d '\t')"
      echo "sub $(touch /logs/here && ls /all)"
      echo "sysctl $(cat /proc/sys/kernel/shm_rmid_forced)"
      ${wait}`;
    await board.api.create(
      pods,
      lasting("confined", {
        securityContext: {
          runAsUser: 1001,
          runAsGroup: 2002,
          fsGroup: 3003,
          supplementalGroups: [4004],
          sysctls: [{ name: "kernel.shm_rmid_forced", value: "1" }],
        },
        volumes: [
          { name: "mem", emptyDir: { medium: "Memory", sizeLimit: "16Mi" } },
          { name: "disk", emptyDir: {} },
        ],
        containers: [
          shell("main", script, {
            env: [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
            securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
            volumeMounts: [
              { name: "mem", mountPath: "/mem" },
              { name: "disk", mountPath: "/logs", subPathExpr: "of-$(POD)" },
              { name: "disk", mountPath: "/all" },
            ],
          }),
        ],
      }),
    );
    await board.untilPod("confined", isReady);
    let output = "";
    for (; !output.includes("sysctl"); await Bun.sleep(50)) output = await board.logsOf("confined", "main");
    expect(output).toBe(
      [
        "tmpfs tmpfs tmpfs 3777",
        "who 1001 2002 2002 3003 4004",
        "root read-only",
        "privileges NoNewPrivs:1",
        "sub of-confined",
        "sysctl 1",
        "",
      ].join("\n"),
    );
  }, 300_000);

  test("a subpath that cannot be expanded is mended by an annotation", async () => {
    const broken = lasting("mended", {
      volumes: [{ name: "disk", emptyDir: {} }],
      containers: [
        shell("main", wait, {
          env: [{ name: "PLACE", valueFrom: { fieldRef: { fieldPath: "metadata.annotations['place']" } } }],
          volumeMounts: [{ name: "disk", mountPath: "/d", subPathExpr: "$(PLACE)" }],
        }),
      ],
    });
    await board.api.create(pods, broken);
    const told = await board.untilPod("mended", ({ status }) =>
      Boolean(status?.containerStatuses?.[0]?.state?.waiting?.message?.includes("missing value")),
    );
    expect(told.status?.containerStatuses?.[0]?.state?.waiting).toEqual({
      reason: "CreateContainerConfigError",
      message: "missing value for PLACE",
    });
    const body = { metadata: { annotations: { place: "here" } } };
    await board.api.patch(pods, { namespace: "default", name: "mended" }, { type: "merge", body });
    await board.untilPod("mended", isReady);
  }, 300_000);

  test("a pod waits for a ConfigMap that its volume shows, and says so", async () => {
    await board.api.create(
      pods,
      lasting("patient", {
        volumes: [{ name: "later", configMap: { name: "later" } }],
        containers: [shell("main", wait, { volumeMounts: [{ name: "later", mountPath: "/later" }] })],
      }),
    );
    while (!(await board.reasonsOf("patient")).includes("FailedMount")) await Bun.sleep(50);
    await board.api.create(configMaps, {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "later", namespace: "default" },
      data: { a: "1" },
    });
    await board.untilPod("patient", isReady);
  }, 300_000);

  test("a container is restarted although the ConfigMap that its volume shows has gone", async () => {
    const metadata = { name: "leaving", namespace: "default" };
    await board.api.create(configMaps, { apiVersion: "v1", kind: "ConfigMap", metadata, data: { a: "1" } });
    await board.api.create(
      pods,
      lasting("tenacious", {
        volumes: [{ name: "files", configMap: { name: "leaving" } }],
        containers: [
          shell("main", `while [ -e /files/a ] && [ ! -e /tmp/end ]; do sleep 0.1; done; exit 1`, {
            volumeMounts: [{ name: "files", mountPath: "/files" }],
          }),
        ],
      }),
    );
    await board.untilPod("tenacious", isReady);
    await board.api.delete(configMaps, metadata);
    while (!(await board.reasonsOf("tenacious")).includes("FailedMount")) await Bun.sleep(50);
    const found = await board.kubelet?.findContainer("default", "tenacious", "main");
    if (!found) throw new Error("the container is not there");
    await board.runtime.execSync(found.id, ["/bin/sh", "-c", "> /tmp/end"], 60_000);
    await board.untilPod(
      "tenacious",
      (pod) => (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0 && isReady(pod),
    );
    await board.api.delete(pods, { ...metadata, name: "tenacious" });
    await board.untilGone("tenacious");
  }, 300_000);
});
