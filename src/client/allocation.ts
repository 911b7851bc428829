/**
 * Which of the sorted items this member of a group reads: contiguous shares, the first `items % members` of them one
 * larger. The same for every member that sorts alike, Java's included.
 *
 * @param members sorted client ids of the group
 * @source AllocateMessageQueueAveragely.java
 */
export function allocateAveragely<T>(items: readonly T[], members: readonly string[], self: string): T[] {
  const index = members.indexOf(self)
  if (index < 0 || items.length === 0) return []
  const share = Math.floor(items.length / members.length)
  const larger = items.length % members.length
  const start = index * share + Math.min(index, larger)
  return items.slice(start, start + share + (index < larger ? 1 : 0))
}
