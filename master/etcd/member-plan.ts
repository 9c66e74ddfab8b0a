/** What may be done to a cluster of etcd, decided from what is known of its members. Pure. */
import type { EtcdAlarm, EtcdMember, MemberStatus } from "../store/etcd/maintenance-messages.ts";

/** A member, and whether it answered and reached a majority. */
export interface SeenMember {
  readonly member: EtcdMember;
  readonly isHealthy: boolean;
}

export interface NewMember {
  readonly name: string;
  readonly peerUrl: string;
}

export type JoinStep =
  /** It is a member already and has only to start. */
  | { readonly kind: "start" }
  | { readonly kind: "add" }
  /** A member of before whose data is lost: out first. */
  | { readonly kind: "replace"; readonly id: bigint }
  /** Another is just joining, or a moment later may do. */
  | { readonly kind: "wait"; readonly why: string }
  | { readonly kind: "refuse"; readonly why: string };

/** The next step of a board without data of etcd's that is to become a member. */
export function planJoin(seen: readonly SeenMember[], joining: NewMember): JoinStep {
  const own = seen.find(({ member }) => member.peerUrls.includes(joining.peerUrl));
  const others = seen.filter((each) => each !== own);
  if (own && own.member.name === "") return { kind: "start" };
  const sick = others.filter(({ member, isHealthy }) => !isHealthy && !isJoining(member));
  if (sick.length > 0) {
    const names = sick.map(({ member }) => nameOf(member)).join(", ");
    return {
      kind: "refuse",
      why: `member ${names} of etcd does not answer. Start it, or, if its board is lost, run \`bramble etcd remove ${sick.map(({ member }) => nameOf(member))[0]}\` on another master; then try again`,
    };
  }
  const learner = others.find(({ member }) => isJoining(member));
  if (learner) return { kind: "wait", why: `${nameOf(learner.member)} is just joining, and etcd takes one at a time` };
  return own ? { kind: "replace", id: own.member.id } : { kind: "add" };
}

/** Added, and not yet one that votes. */
const isJoining = ({ isLearner, name }: EtcdMember): boolean => isLearner || name === "";

/** Why a member must not leave now; undefined: it may. */
export function reasonToStay(seen: readonly SeenMember[], leaving: bigint): string | undefined {
  const target = seen.find(({ member }) => member.id === leaving);
  if (!target || target.member.isLearner) return undefined;
  const others = seen.filter(({ member }) => member.id !== leaving && !member.isLearner);
  if (others.length === 0) return "it is the only member: the cluster's state would be lost";
  const healthy = others.filter(({ isHealthy }) => isHealthy).length;
  const majority = Math.floor(others.length / 2) + 1;
  if (healthy >= majority) return undefined;
  return `only ${healthy} of the ${others.length} other members answer, and ${majority} must: start them first`;
}

export type Upkeep =
  | { readonly kind: "promote" }
  | { readonly kind: "set-peer-url" }
  | { readonly kind: "defragment" }
  /** Writes are refused: forget history, make the file small, and take this member's alarm back if there is room then. */
  | { readonly kind: "make-room"; readonly alarm: EtcdAlarm | undefined };

export interface OwnMember {
  readonly member: EtcdMember;
  readonly status: MemberStatus;
  readonly peerUrl: string;
  readonly alarms: readonly EtcdAlarm[];
  readonly quota_bytes: number;
  /** Is it this member's turn to pause for defragmenting? */
  readonly mayPause: boolean;
}

const worthDefragmenting_bytes = 64 * 1024 * 1024;
/** Of the quota: with a larger file, an alarm that is taken back would come again at once. */
const roomShare = 0.9;

/** Is there room enough again for writes? */
export const hasRoom = ({ size_bytes }: MemberStatus, quota_bytes: number): boolean =>
  size_bytes <= quota_bytes * roomShare;

/** What a master has to do for its own member now, at most one thing. */
export function planUpkeep(own: OwnMember): Upkeep | undefined {
  const { member, status, peerUrl, alarms, quota_bytes, mayPause } = own;
  if (member.isLearner) return { kind: "promote" };
  if (!member.peerUrls.includes(peerUrl)) return { kind: "set-peer-url" };
  const full = alarms.filter(({ kind }) => kind === "NOSPACE");
  const alarm = full.find(({ memberId }) => memberId === member.id);
  // Only the member that was asked to write raises one; a file as large would raise the next.
  if (alarm || (full.length > 0 && !hasRoom(status, quota_bytes))) return { kind: "make-room", alarm };
  const free_bytes = status.size_bytes - status.used_bytes;
  const isWorthwhile = status.size_bytes >= worthDefragmenting_bytes && free_bytes > status.size_bytes / 2;
  return isWorthwhile && mayPause ? { kind: "defragment" } : undefined;
}

/** A member as a person may name it. */
export function nameOf({ name, peerUrls, id }: EtcdMember): string {
  if (name !== "") return name;
  const [url] = peerUrls;
  return url === undefined ? id.toString(16) : new URL(url).hostname;
}
