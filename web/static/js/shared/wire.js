// The API's objects, as types only.

/**
 * @typedef {{
 *   id: string, endpoint: string, model: string, status: string, filename: string | null, priority: number,
 *   order: "auto" | "submission", deduplicate: boolean, use_cache: boolean,
 *   errors: null | { data: { code: string, message: string, param: string | null, line: number | null }[] },
 *   input_file_id: string | null, output_file_id: string | null, error_file_id: string | null,
 *   created_at: number, in_progress_at: number | null, completed_at: number | null, failed_at: number | null,
 *   expired_at: number | null, cancelled_at: number | null, expires_at: number | null,
 *   input_bytes: number | null, output_bytes: number | null, error_bytes: number | null,
 *   request_counts: { total: number, completed: number, failed: number },
 *   usage: { input_tokens: number, output_tokens: number, total_tokens: number } | null,
 *   metadata: null | Record<string, string>, parent_batch_id: string | null, retried_by: string[], progress: Progress,
 *   engine?: EngineReport | null, reused?: { deduplicated: number, cached: number },
 * }} Batch
 * @typedef {{
 *   seconds: number, full_share: number, mean_requests: number, mean_cache_usage: number, preemptions: number,
 *   cached_prompt_share: number | null,
 * }} EngineReport
 * @typedef {{
 *   percent: number, phase: string, pending: number, running: number, cancelled: number, expired: number,
 *   chunk: number, chunks: number, requests_per_second: number | null, tokens_per_second: number | null,
 *   eta_seconds: [number, number] | null, queue_position: number | null, elapsed_seconds: number | null,
 * }} Progress
 * @typedef {Record<"active" | "queued" | "completed" | "failed" | "cancelled" | "expired" | "all", number>} Counts
 * @typedef {{ data: Batch[], last_id: string | null, has_more: boolean, counts: Counts }} BatchList
 * @typedef {{
 *   available: boolean, status: string, name: string | null, memory_used_bytes: number | null,
 *   memory_total_bytes: number | null, temperature_c: number | null, utilization_percent: number | null,
 *   power_w: number | null, processes: number | null, max_memory_percent: number, max_temperature_c: number,
 * }} Gpu
 * @typedef {{
 *   status: string, heartbeat: string, heartbeat_age_seconds: number | null, model: string | null,
 *   tokens_per_second: number, requests_in_flight: number, cached_prompt_share: number | null,
 *   engine: string | null, engine_restarts: number, batch_ids: string[], memory_bytes?: number | null,
 * trouble?: string | null,
 * }} Worker
 * @typedef {{
 *   accepting: boolean, reason: string | null, active_batches: number, max_active_batches: number,
 *   queued_requests: number, max_queued_requests: number, oldest_waiting_seconds: number | null,
 *   max_requests_per_batch: number, max_file_bytes: number, max_line_bytes?: number,
 * }} Queue
 * @typedef {{
 *   status: string, problems: string[], version: string, time: number, gpu: Gpu, worker: Worker, queue: Queue,
 *   last_24_hours: { answers: number, failed: number, dead_letters: number },
 *   disk: { free_bytes: number, total_bytes: number, free_percent: number },
 * }} Health
 * @typedef {{
 *   at: number, tokens_per_second: number | null, requests_per_second: number | null, queued_requests: number,
 *   requests_in_flight: number, gpu_memory_used_bytes: number | null, gpu_utilization_percent: number | null,
 *   gpu_temperature_c: number | null, gpu_power_w: number | null,
 * }} Sample
 * @typedef {{
 *   line: number, custom_id: string, status: string, attempts: number, status_code: number | null,
 *   finish_reason: string | null, error_code: string | null, input_tokens: number | null,
 *   output_tokens: number | null, started_at: number | null, finished_at: number | null,
 * }} RequestRow
 * @typedef {{
 *   line: number, custom_id: string, status: string, attempts: number, status_code: number | null,
 *   finish_reason: string | null, error_code: string | null, input_tokens: number, output_tokens: number,
 *   seconds: number | null, text: string, is_cut: boolean, values: Record<string, any>,
 * }} AnswerRow
 * @typedef {{ custom_id: string, answers: (AnswerRow | null)[] }} JoinedRow
 * @typedef {{ total: number, offset: number, indexed: number, complete: boolean, found: number | null }} AnswerPage
 * @typedef {AnswerPage & { data: AnswerRow[] }} AnswerTable
 * @typedef {AnswerPage & { data: JoinedRow[] }} JoinedTable
 * @typedef {RequestRow & {
 *   request: any, response: any, text: string | null, previous: number | null, next: number | null,
 * }} AnswerDetail
 * @typedef {{ path: string, answers: number, is_number: boolean }} Field
 * @typedef {{ start: number, end: number, count: number }} Bin
 * @typedef {{
 *   batch_id: string, both: number, only_baseline: number, only_other: number, same: number, different: number,
 *   baseline_tokens: number | null, other_tokens: number | null,
 * }} ComparedSide
 * @typedef {{
 *   batch_id: string, both: number, equal: number, baseline_mean: number | null, other_mean: number | null,
 *   bins: Bin[], agreement: { baseline: any, other: any, count: number }[],
 * }} FieldChange
 * @typedef {{
 *   batch_ids: string[], sides: ComparedSide[], fields: Field[], likely_field: string | null, field: string | null,
 *   changes: FieldChange[], indexed: number, complete: boolean, first_requests: any[] | null,
 * }} Comparison
 * @typedef {{
 *   line: number, status: string, error_code: string | null, finish_reason: string | null, output_tokens: number,
 *   seconds: number | null, text: string, is_cut: boolean, value: any,
 * }} ComparedAnswer
 * @typedef {{ custom_id: string, answers: (ComparedAnswer | null)[] }} ComparedRow
 * @typedef {{ data: ComparedRow[], total: number, offset: number }} ComparedRows
 * @typedef {{ id: string, aliases?: string[], loaded?: boolean }} Model
 */

export {};
