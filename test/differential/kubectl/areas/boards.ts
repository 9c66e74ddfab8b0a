/** Nodes: cordon, taint, drain with all that stops it, debug of a node, certificates. No kubelet is there. */
import { type KubectlArea, run, words } from "../command.ts";

const pod = (name: string, more: object = {}, spec: object = {}): object => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: name }, ...more },
  spec: { nodeName: "one", terminationGracePeriodSeconds: 0, containers: [{ name: "main", image: "web:1" }], ...spec },
});
const ownedBy = (kind: string, apiVersion = "apps/v1"): object => ({
  ownerReferences: [{ apiVersion, kind, name: "owner", uid: "1f0d4b1e-0000-4000-8000-000000000001", controller: true }],
});
const node = (name: string): object => ({
  apiVersion: "v1",
  kind: "Node",
  metadata: { name, labels: { place: "shed" } },
});
const list = (...items: object[]): object => ({ apiVersion: "v1", kind: "List", items });
const daemons = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "owner" },
  spec: {
    selector: { matchLabels: { app: "d" } },
    template: { metadata: { labels: { app: "d" } }, spec: { containers: [{ name: "main", image: "web:1" }] } },
  },
};
const mirror = { annotations: { "kubernetes.io/config.mirror": "x" } };

export const boards: KubectlArea = {
  commands: [
    run("create serviceaccount default"),
    run("create -f -", list(node("one"), node("two"))),
    run("get nodes one two"),
    run("get nodes one two -o wide"),
    run("cordon --selector=place=shed --dry-run=server"),
    run("cordon --selector=place=shed"),
    run("uncordon one two none"),
    run("taint nodes -l place=shed a=b:NoSchedule c:PreferNoSchedule"),
    run("taint nodes one a=x:NoSchedule"),
    run("taint nodes one a=x:NoSchedule --overwrite"),
    run("taint nodes one a:NoExecute-"),
    run("taint nodes one a- c:PreferNoSchedule-"),
    run("taint nodes two a=b:NoSchedule-"),
    run("taint nodes one bad/key/=b:NoSchedule"),
    run("taint nodes --all a=b"),
    run("get node two -o jsonpath={.spec.taints}"),
    words("patch node two --type=merge -p", '{"spec":{"taints":null}}'),
    run("label node one node-role.kubernetes.io/worker="),
    words("patch node one --type=merge -p", '{"spec":{"podCIDR":"10.42.1.0/24"}}'),
    words("patch node one --type=merge -p", '{"spec":{"podCIDR":"10.42.2.0/24"}}'),

    run("create -f -", daemons),
    run(
      "create -f -",
      list(
        pod("plain"),
        pod("daemon", ownedBy("DaemonSet")),
        pod("emptied", ownedBy("ReplicaSet"), { volumes: [{ name: "e", emptyDir: {} }] }),
        pod("guarded", ownedBy("ReplicaSet")),
        pod("mirror", mirror),
      ),
    ),
    run("drain one --ignore-daemonsets --force --timeout=20s"),
    run("drain one --force --delete-emptydir-data --timeout=20s"),
    run("drain one --ignore-daemonsets --pod-selector=app=emptied --delete-emptydir-data --timeout=60s"),
    run("drain one --ignore-daemonsets --force --disable-eviction --pod-selector=app=plain --timeout=60s"),
    run("create pdb guarded --selector=app=guarded --min-available=1"),
    run("drain one --ignore-daemonsets --force --timeout=1s"),
    words(
      "patch pdb guarded --subresource=status --type=merge -p",
      '{"status":{"observedGeneration":1,"disruptionsAllowed":0,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}',
    ),
    words(
      "patch pod guarded --subresource=status --type=merge -p",
      '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}',
    ),
    run("drain one --ignore-daemonsets --force --timeout=1s"),
    words("patch pdb guarded --subresource=status --type=merge -p", '{"status":{"disruptionsAllowed":1}}'),
    run("drain one --ignore-daemonsets --force --timeout=60s"),
    run("get pdb guarded -o jsonpath={.status.disruptionsAllowed}"),
    run("get pods -o name"),
    run("drain none"),
    run("drain --selector=place=nowhere"),
    run("drain two --skip-wait-for-delete-timeout=1 --chunk-size=1"),
    run("uncordon -l place=shed"),
    run("debug node/one --image=debug:1 --attach=false --profile=sysadmin"),
    run("get pods -l app=none"),
    words("get pods -o", "jsonpath={range .items[*]}{.spec.hostNetwork}{.spec.hostPID}{.spec.tolerations}{end}"),
    run("debug node/none --image=debug:1"),
    run("top node none"),
    run("describe node one"),
    run("delete nodes one two"),
  ],
};
