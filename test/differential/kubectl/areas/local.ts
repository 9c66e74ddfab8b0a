/** What kubectl keeps and decides by itself, over a server: contexts, kuberc, plug-ins, --local, versions. */
import { type KubectlArea, run, script } from "../command.ts";

const deployment = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web" },
  spec: {
    selector: { matchLabels: { app: "web" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "web", image: "web:1" }] } },
  },
};
const preferences = {
  apiVersion: "kubectl.config.k8s.io/v1beta1",
  kind: "Preference",
  defaults: [
    { command: "apply", options: [{ name: "server-side", default: "true" }] },
    { command: "delete", options: [{ name: "interactive", default: "false" }] },
  ],
  aliases: [
    {
      name: "names",
      command: "get",
      prependArgs: ["configmaps"],
      options: [{ name: "output", default: "name" }],
    },
  ],
};
const files = {
  "web.json": deployment,
  "map.json": { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "one" } },
  "kuberc.json": preferences,
  "other.yaml": [
    "apiVersion: v1",
    "kind: Config",
    "current-context: there",
    "clusters: [{name: there, cluster: {server: 'https://127.0.0.1:1'}}]",
    "users: [{name: you, user: {token: t}}]",
    "contexts: [{name: there, context: {cluster: there, user: you, namespace: n}}]",
    "",
  ].join("\n"),
};

export const local: KubectlArea = {
  files,
  commands: [
    run("set image -f web.json web=web:2 --local -o jsonpath={.spec.template.spec.containers[0].image}"),
    run("set env -f web.json A=b --local -o jsonpath={.spec.template.spec.containers[0].env}"),
    run("set resources -f web.json --limits=cpu=1 --local -o jsonpath={.spec.template.spec.containers[0].resources}"),
    run("set serviceaccount -f web.json robot --local -o jsonpath={.spec.template.spec.serviceAccountName}"),
    run("label -f web.json a=b --local -o jsonpath={.metadata.labels}"),
    run("annotate -f web.json a=b --local -o jsonpath={.metadata.annotations}"),
    run("taint node a=b --local"),

    run("apply -f map.json --kuberc=kuberc.json"),
    run("names --kuberc=kuberc.json"),
    run("names"),
    script("KUBERC=off kubectl names --kuberc=kuberc.json"),
    script("KUBECTL_KUBERC=false kubectl apply -f map.json --kuberc=kuberc.json"),
    run("alpha kuberc set --kuberc=made.yaml --section=defaults --command=get --option=output=name"),
    run("alpha kuberc set --kuberc=made.yaml --section=aliases --name=cm --command=get --prependarg=configmaps"),
    run("alpha kuberc view --kuberc=made.yaml"),
    run("get configmaps --kuberc=made.yaml"),
    run("cm one --kuberc=made.yaml -o jsonpath={.metadata.name}"),
    run("delete configmap one --kuberc=kuberc.json"),
    script("mkdir -p ~/.kube && cp made.yaml ~/.kube/kuberc && kubectl cm && rm ~/.kube/kuberc"),

    run("config get-contexts -o name"),
    run("config current-context"),
    run("config set-cluster there --server=https://127.0.0.1:1"),
    run("config set-context there --cluster=there --user=me --namespace=n"),
    run("config rename-context there far"),
    run("config use-context far"),
    run("config use-context none"),
    run("config view --minify -o jsonpath={.contexts[0].context.namespace}"),
    run("config use-context here"),
    run("config set contexts.far.namespace other"),
    run("config unset contexts.far.namespace"),
    // In no order.
    script("kubectl config get-clusters | sort"),
    run("config get-users"),
    run("config delete-context far"),
    run("config delete-cluster there"),
    run("config delete-user none"),
    run("config set-credentials two --username=a --password=b"),
    run("config delete-user two"),
    script("KUBECONFIG=$KUBECONFIG:other.yaml kubectl config get-contexts"),
    run("config set-context --current --namespace=kube-system"),
    run("config view --minify -o jsonpath={..namespace}"),
    script("kubectl --context=here get configmaps --namespace=commands-local -o name"),
    run("get configmaps --context=none"),
    run("get configmaps --cluster=none"),
    run("get configmaps --server=https://127.0.0.1:1 --request-timeout=3s"),
    run("get configmaps --insecure-skip-tls-verify --certificate-authority="),
    run("get configmaps --request-timeout=nothing"),

    run("plugin list"),
    script(
      "mkdir bin && printf '#!/bin/sh\\necho plugged $* $(kubectl get ns commands-local -o name)\\n' >bin/kubectl-plugged && chmod +x bin/kubectl-plugged && PATH=$PWD/bin:$PATH kubectl plugged a",
    ),
    script("PATH=$PWD/bin:$PATH kubectl plugin list --name-only"),
    run("version -o jsonpath={.serverVersion.major}{.serverVersion.minor}"),
    run("cluster-info"),
    run("cluster-info dump --namespaces=none -o name"),
    script("kubectl cluster-info dump -n commands-local --output-directory=dump && ls -R dump"),
    run("nothing"),
    run("get configmaps --nothing"),
    script("kubectl options | wc -l"),
    script("for shell in bash zsh fish powershell; do kubectl completion $shell | grep -c .; done"),
  ],
};
