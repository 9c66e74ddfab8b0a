import type { HostAlias, Pod } from "#shared/api/types/core-v1.generated.ts";

const longestHostname_chars = 63;

export interface PodHostname {
  readonly hostname: string;
  /** Empty without a subdomain. */
  readonly domain: string;
  /** What the kernel is told: the whole name with setHostnameAsFQDN. */
  readonly kernelHostname: string;
}

/** Host name and domain of a pod by spec.hostname, subdomain, hostnameOverride and setHostnameAsFQDN. */
export function podHostname(pod: Pod, clusterDomain: string): PodHostname {
  const { hostname, hostnameOverride, subdomain, setHostnameAsFQDN } = pod.spec;
  if (hostnameOverride !== undefined) {
    const name = truncate(hostnameOverride);
    return { hostname: name, domain: "", kernelHostname: name };
  }
  const name = truncate(hostname || (pod.metadata.name ?? ""));
  const domain = subdomain ? `${subdomain}.${pod.metadata.namespace}.svc.${clusterDomain}` : "";
  const qualified = `${name}.${domain}`;
  if (setHostnameAsFQDN && domain) {
    if (qualified.length > 64) {
      throw new Error(
        `failed to construct FQDN from pod hostname and cluster domain, FQDN ${qualified} is too long (64 characters is the max, ${qualified.length} characters requested)`,
      );
    }
    return { hostname: name, domain, kernelHostname: qualified };
  }
  return { hostname: name, domain, kernelHostname: name };
}

function truncate(name: string): string {
  return name.length <= longestHostname_chars ? name : name.slice(0, longestHostname_chars).replace(/[-.]+$/, "");
}

export interface HostsFileInput {
  readonly podIPs: readonly string[];
  readonly hostname: string;
  readonly domain: string;
  readonly hostAliases: readonly HostAlias[];
  /** Text of the board's own file, for a pod with host network. */
  readonly hostFile?: string | undefined;
}

/** The file that containers see as /etc/hosts. */
export function renderHostsFile(input: HostsFileInput): string {
  const { podIPs, hostname, domain, hostAliases, hostFile } = input;
  const aliases =
    hostAliases.length === 0
      ? ""
      : `\n# Entries added by HostAliases.\n${hostAliases
          .map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join("\t")}\n`)
          .join("")}`;
  if (hostFile !== undefined) return `# Kubernetes-managed hosts file (host network).\n${hostFile}${aliases}`;
  const own = podIPs.map((ip) => (domain ? `${ip}\t${hostname}.${domain}\t${hostname}\n` : `${ip}\t${hostname}\n`));
  return [
    "# Kubernetes-managed hosts file.\n",
    "127.0.0.1\tlocalhost\n",
    "::1\tlocalhost ip6-localhost ip6-loopback\n",
    "fe00::0\tip6-localnet\n",
    "fe00::0\tip6-mcastprefix\n",
    "fe00::1\tip6-allnodes\n",
    "fe00::2\tip6-allrouters\n",
    ...own,
    aliases,
  ].join("");
}
