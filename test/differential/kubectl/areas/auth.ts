/** Who may do what: roles that are reconciled, what is asked of the server about them, tokens and their reviews, CSRs. */
import { type KubectlArea, type KubectlCommand, run, script } from "../command.ts";

const rbac = "rbac.authorization.k8s.io";
const role = (rules: object[], more: object = {}): object => ({
  apiVersion: `${rbac}/v1`,
  kind: "Role",
  metadata: { name: "reader", ...more },
  rules,
});
const binding = (subjects: string[], roleName = "reader"): object => ({
  apiVersion: `${rbac}/v1`,
  kind: "RoleBinding",
  metadata: { name: "readers" },
  roleRef: { apiGroup: rbac, kind: "Role", name: roleName },
  subjects: subjects.map((name) => ({ apiGroup: rbac, kind: "User", name })),
});
const clusterRole = (labels: Record<string, string>, aggregated?: object): object => ({
  apiVersion: `${rbac}/v1`,
  kind: "ClusterRole",
  metadata: { name: "reconciled", labels },
  rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["get"] }],
  ...aggregated,
});
const pods = (verbs: string[]): object => ({ apiGroups: [""], resources: ["pods"], verbs });
const list = (...items: object[]): object => ({ apiVersion: "v1", kind: "List", items });
/** What the server says of a token that it has just given. */
const reviewed = (token: string, audiences: string[] = [], path = "{.status}"): KubectlCommand =>
  script(
    `token=$(kubectl create token ${token}) && echo '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"audiences":${JSON.stringify(audiences)},"token":"'$token'"}}' | kubectl create -f - -o jsonpath='${path}'`,
  );
const user = "{.status.authenticated}{.status.user.username}{.status.user.groups}{.status.audiences}{.status.error}";
/** Names of the claims, sorted. */
const claims = (token: string): KubectlCommand =>
  script(
    `kubectl create token ${token} | cut -d. -f2 | tr _- /+ | awk '{while(length($0)%4)$0=$0"=";print}' | base64 -d | sed 's/"\\(exp\\|iat\\|nbf\\)":[0-9]*/"\\1":TIME/g;s/"iss":"[^"]*"/"iss":ISSUER/'`,
  );
const asToken = (token: string, line: string): KubectlCommand =>
  script(
    `kubectl config set-credentials robot --token=$(kubectl create token ${token}) >/dev/null && kubectl --user=robot ${line}`,
  );
const node = { apiVersion: "v1", kind: "Node", metadata: { name: "auth-board" } };
const pod = {
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "bound" },
  spec: { serviceAccountName: "robot", nodeName: "auth-board", containers: [{ name: "main", image: "web:1" }] },
};

export const auth: KubectlArea = {
  commands: [
    run("create serviceaccount robot"),
    run("auth reconcile -f -", list(role([pods(["get"])]), binding(["anna"]))),
    run("auth reconcile -f -", list(role([pods(["list"])]), binding(["ben"]))),
    run("get role reader -o jsonpath={.rules}"),
    run("get rolebinding readers -o jsonpath={.subjects[*].name}"),
    run("auth reconcile --remove-extra-permissions -f -", role([pods(["watch"])])),
    run("auth reconcile --remove-extra-subjects -f -", binding(["ben"])),
    run("auth reconcile --dry-run=client -f -", role([pods(["delete"])])),
    run("auth reconcile --dry-run=server -f -", role([pods(["delete"])], { labels: { a: "b" } })),
    run("auth reconcile -o name -f -", binding(["ben"], "other")),
    run("auth reconcile -f -", clusterRole({ tier: "front" })),
    run("auth reconcile -f -", clusterRole({ tier: "back" })),
    run("get clusterrole reconciled -o jsonpath={.metadata.labels}{.rules}"),
    run("auth reconcile -f -", { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" } }),

    run("auth can-i get pods --as=ben"),
    run("auth can-i list pods --as=ben"),
    run("auth can-i list pods/log --as=ben"),
    run("auth can-i list pods --subresource=log --as=ben"),
    run("auth can-i get pods/one --as=ben -q"),
    run("auth can-i watch pods --as=ben -A"),
    run("auth can-i watch deployments.apps --as=ben"),
    run("auth can-i * * --all-namespaces"),
    run("auth can-i use nothing.example.com"),
    run("auth can-i get /healthz --as=system:anonymous --as-group=system:unauthenticated"),
    run("auth can-i get healthz/ --as=ben"),
    run("auth can-i get pods --as-group=only"),
    run("auth can-i impersonate users --as=ben"),
    run("auth whoami --as=ben --as-group=makers --as-uid=7 --as-user-extra=team=a"),
    run("auth whoami -o yaml --as=system:serviceaccount:commands-auth:robot"),
    run("get pods --as=nobody"),
    run("get pods none --as=nobody -o name"),
    run("create configmap a --as=nobody"),
    run("delete pods --all --as=nobody"),
    run("get namespaces --as=nobody"),
    run("get --raw /metrics --as=nobody"),
    run("get pods --as=system:serviceaccount:commands-auth:robot"),
    run("get pods --as=ben --as-uid=1 -o name"),
    run("create role more --verb=* --resource=pods --as=system:serviceaccount:commands-auth:robot"),
    run("create rolebinding granter --clusterrole=edit --user=granter"),
    run("create role more --verb=get --resource=pods --as=granter"),
    run("create rolebinding admins --clusterrole=admin --user=admin"),
    run("create role more --verb=delete --resource=nodes --as=admin"),
    run("create rolebinding more --clusterrole=cluster-admin --user=admin --as=admin"),

    run("create -f -", node),
    run("create -f -", pod),
    run("create secret generic hidden --from-literal=a=b"),
    reviewed("robot", [], user),
    reviewed("robot --audience=one --audience=two", ["two", "three"], user),
    reviewed("robot --audience=one", ["other"], user),
    reviewed("robot --audience=one", [], user),
    reviewed("robot --bound-object-kind=Pod --bound-object-name=bound", [], "{.status.user.extra}"),
    reviewed("robot --bound-object-kind=Secret --bound-object-name=hidden", [], user),
    reviewed("robot --bound-object-kind=Node --bound-object-name=auth-board", [], "{.status.user.extra}"),
    claims("robot --duration=10m"),
    claims("robot --bound-object-kind=Pod --bound-object-name=bound"),
    claims("robot --bound-object-kind=Node --bound-object-name=auth-board --audience=a"),
    claims("robot --bound-object-kind=Secret --bound-object-name=hidden"),
    asToken("robot", "auth whoami -o jsonpath='{.status.userInfo.username}{.status.userInfo.groups}'"),
    asToken("robot", "get pods"),
    asToken("robot --audience=other", "get pods"),
    script(
      "kubectl config set-credentials robot --token=$(kubectl create token robot --bound-object-kind=Secret --bound-object-name=hidden) >/dev/null && kubectl delete secret hidden && kubectl --user=robot get pods",
    ),
    script(
      "kubectl config set-credentials robot --token=$(kubectl create token robot --bound-object-kind=Node --bound-object-name=auth-board) >/dev/null && kubectl delete node auth-board && kubectl --user=robot get pods",
    ),
    script(
      "kubectl config set-credentials robot --token=$(kubectl create token robot --bound-object-kind=Pod --bound-object-name=bound) >/dev/null && kubectl delete pod bound --grace-period=0 --force && kubectl --user=robot get pods",
    ),
    script(
      "kubectl config set-credentials robot --token=$(kubectl create token robot) >/dev/null && kubectl delete serviceaccount robot && kubectl --user=robot get pods",
    ),
    reviewed("none"),

    script(
      'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -subj /O=makers/CN=jane 2>/dev/null | base64 -w0 >request; for name in asked refused; do echo \'{"apiVersion":"certificates.k8s.io/v1","kind":"CertificateSigningRequest","metadata":{"name":"\'$name\'"},"spec":{"signerName":"kubernetes.io/kube-apiserver-client","usages":["client auth"],"request":"\'$(cat request)\'"}}\' | kubectl create -f -; done',
    ),
    run("get csr asked refused"),
    run("certificate approve asked"),
    run("certificate deny refused"),
    run("certificate approve asked"),
    run("certificate approve refused"),
    run("certificate deny asked"),
    run("certificate approve asked --force"),
    run("get csr asked refused"),
    run("get csr asked -o jsonpath={.status.conditions[*].type}{.status.conditions[*].reason}"),
    run("certificate approve none"),
    run("delete csr asked refused"),
    run("delete clusterrole reconciled"),
  ],
};
