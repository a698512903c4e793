WITH tally AS (
    SELECT
        bucket_of(account_id) AS bucket,
        min(account_id) AS account_id,
        count(*) AS calls,
        count(prompt_hash) AS coverage_prompted,
        count(turn) AS coverage_turned,
        count(CASE WHEN turn = 1 THEN 1 END) AS coverage_first,
        count(elicitation_score) AS elicitation_scored,
        count(CASE WHEN elicitation_score >= 0.5 THEN 1 END) AS elicitation_clear,
        sum(elicitation_score) AS elicitation_total,
        quantile_of(elicitation_score, 0.9) AS elicitation_high,
        mean_of(top_of(elicitation_score, 5)) AS elicitation_top,
        count(CASE WHEN elicit_cot >= 0.5 THEN 1 END) AS elicitation_cot,
        count(CASE WHEN elicit_pairs >= 0.5 THEN 1 END) AS elicitation_pairs,
        count(CASE WHEN elicit_grading >= 0.5 THEN 1 END) AS elicitation_grading,
        count(CASE WHEN elicit_rewrite >= 0.5 THEN 1 END) AS elicitation_rewrite,
        count(CASE WHEN elicit_trace >= 0.5 THEN 1 END) AS elicitation_trace,
        count(CASE WHEN n > 1 THEN 1 END) AS parameters_many,
        count(n) AS parameters_n_known,
        count(CASE WHEN top_logprobs > 0 THEN 1 END) AS parameters_logprobs,
        count(CASE WHEN logit_bias THEN 1 END) AS parameters_biased,
        count(CASE WHEN logit_probe THEN 1 END) AS parameters_probes,
        count(logit_probe) AS parameters_probes_known,
        count(CASE WHEN stream THEN 1 END) AS parameters_streamed,
        count(stream) AS parameters_stream_known,
        count(CASE WHEN tool_count > 0 THEN 1 END) AS parameters_tools,
        count(tool_count) AS parameters_tools_known,
        date_trunc('day', max(ts)) AS programme_midnight,
        count(status) AS volume_statuses,
        count(CASE WHEN status >= 400 THEN 1 END) AS volume_failed,
        count(finish_reason) AS volume_finished,
        count(CASE WHEN finish_reason = 'refusal' THEN 1 END) AS volume_refused,
        sum(input_tokens) AS volume_input,
        sum(output_tokens) AS volume_output,
        sum(reasoning_tokens) AS volume_reasoning,
        sum(CASE WHEN output_tokens IS NOT NULL THEN input_tokens END) AS volume_paired_input,
        sum(CASE WHEN input_tokens IS NOT NULL THEN output_tokens END) AS volume_paired_output,
        min(ts) AS volume_first,
        max(ts) AS volume_last
    FROM requests
    GROUP BY bucket_of(account_id)
),
facets AS (
    SELECT
        bucket_of(account_id) AS bucket, bucket_of(model) AS model,
        pathway, capability,
        count(*) AS calls
    FROM requests
    GROUP BY bucket_of(account_id), bucket_of(model), pathway, capability
),
asked AS (
    SELECT
        bucket_of(account_id) AS bucket, prompt_hash,
        count(*) AS n,
        min(template_id) AS template_id,
        min(key_at(content_keys, 3, 2)) AS opening,
        min(key_at(content_keys, 5, 4)) AS ending
    FROM requests
    GROUP BY bucket_of(account_id), prompt_hash
),
templated AS (
    SELECT bucket, template_id, sum(n) AS n, bit_or(mark_of(prompt_hash)) AS prompts
    FROM asked
    WHERE template_id IS NOT NULL
    GROUP BY bucket, template_id
),
shared_keys AS (
    SELECT
        kind, key, n_requests, count_of_marks(holders) AS n_accounts,
        least(1.0, count_of_marks(prompts) / least(n_requests, 64)) AS distinctness
    FROM (
        SELECT 2 AS kind, opening AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
            bit_or(mark_of(prompt_hash)) AS prompts
        FROM asked WHERE opening IS NOT NULL GROUP BY opening
        UNION ALL
        SELECT 4 AS kind, ending AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
            bit_or(mark_of(prompt_hash)) AS prompts
        FROM asked WHERE ending IS NOT NULL GROUP BY ending
        UNION ALL
        SELECT 10 AS kind, template_id AS key, sum(n) AS n_requests, bit_or(mark_of(bucket)) AS holders,
            bit_or(prompts) AS prompts
        FROM templated WHERE template_id IS NOT NULL GROUP BY template_id
    ) AS held
    WHERE count_of_marks(holders) > 2.5
),
spine AS (
    SELECT account_id FROM tally
),
m_capability AS (
    WITH used AS (
        SELECT bucket, capability, sum(calls) AS n
        FROM facets
        WHERE capability IS NOT NULL
        GROUP BY bucket, capability
    ), ranked AS (
        SELECT bucket, capability, n, max(n) OVER (PARTITION BY bucket) AS most
        FROM used
    ), spread AS (
        SELECT
            bucket,
            sum(n) AS n, max(most) AS most, count(*) AS classes,
            min(CASE WHEN n = most THEN capability END) AS top
        FROM ranked
        GROUP BY bucket
    )
    SELECT
        account_id,
        top AS capability_top,
        classes AS n_capabilities,
        CASE WHEN n >= 4 THEN CAST(most AS DOUBLE) / n END AS capability_top_share
    FROM spread JOIN tally ON spread.bucket = tally.bucket
),
m_coverage AS (
    WITH walked AS (
        SELECT bucket, count(prompt_hash) AS n_prompts
        FROM asked
        GROUP BY bucket
    )
    SELECT
        account_id,
        CASE WHEN coverage_prompted > 0 THEN n_prompts END AS n_distinct_prompts,
        CASE WHEN coverage_prompted >= 4 THEN n_prompts * 1.0 / coverage_prompted END
            AS distinct_prompt_share,
        CASE WHEN coverage_turned >= 4 THEN coverage_first * 1.0 / coverage_turned END
            AS first_turn_share
    FROM walked JOIN tally ON walked.bucket = tally.bucket
),
m_elicitation AS (
    SELECT
        account_id,
        CASE WHEN elicitation_scored >= 3 THEN elicitation_high END AS elicitation_score,
        CASE WHEN elicitation_scored >= 3 THEN elicitation_top END AS elicitation_top_score,
        CASE WHEN elicitation_scored >= 3
            THEN CAST(elicitation_clear AS DOUBLE) / elicitation_scored END AS elicited_share,
        CASE WHEN elicitation_scored > 0 THEN elicitation_clear END AS elicited_n,
        elicitation_total AS elicitation_sum,
        CASE WHEN greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) = 0 THEN NULL
             WHEN elicitation_cot = greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) THEN 'cot'
             WHEN elicitation_pairs = greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) THEN 'pairs'
             WHEN elicitation_grading = greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) THEN 'grading'
             WHEN elicitation_rewrite = greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) THEN 'rewrite'
             WHEN elicitation_trace = greatest(elicitation_cot, elicitation_pairs, elicitation_grading, elicitation_rewrite, elicitation_trace) THEN 'trace' END AS elicit_kind_top,
        CASE WHEN elicitation_scored >= 3 THEN CAST(elicitation_cot AS DOUBLE) / elicitation_scored END AS elicit_cot_share,
        CASE WHEN elicitation_scored >= 3 THEN CAST(elicitation_pairs AS DOUBLE) / elicitation_scored END AS elicit_pairs_share,
        CASE WHEN elicitation_scored >= 3 THEN CAST(elicitation_grading AS DOUBLE) / elicitation_scored END AS elicit_grading_share,
        CASE WHEN elicitation_scored >= 3 THEN CAST(elicitation_rewrite AS DOUBLE) / elicitation_scored END AS elicit_rewrite_share,
        CASE WHEN elicitation_scored >= 3 THEN CAST(elicitation_trace AS DOUBLE) / elicitation_scored END AS elicit_trace_share
    FROM tally
),
m_origin AS (
    WITH places AS (
        SELECT
            bucket_of(account_id) AS bucket, ip, prefix, country, client, asn, count(*) AS n
        FROM (
            SELECT
                account_id, asn,
                bucket_of(ip_hash) AS ip,
                bucket_of(ip_prefix) AS prefix,
                bucket_of(country) AS country,
                CASE WHEN ja4 IS NOT NULL OR user_agent IS NOT NULL THEN pair_of(ja4, user_agent) END AS client
            FROM requests
        ) AS seen
        GROUP BY bucket_of(account_id), ip, prefix, country, client, asn
    ), rented AS (
        SELECT places.bucket, sum(n) AS n_rented
        FROM places JOIN (SELECT DISTINCT asn FROM hosting_asns) AS hosts ON places.asn = hosts.asn
        GROUP BY places.bucket
    ), before AS (
        SELECT bucket_of(account_id) AS bucket, bucket_of(ip_prefix) AS prefix
        FROM requests_before
        WHERE ip_prefix IS NOT NULL
        GROUP BY bucket_of(account_id), bucket_of(ip_prefix)
    ), regulars AS (
        SELECT DISTINCT bucket FROM before
    ), known AS (
        SELECT places.bucket, sum(n) AS n_known
        FROM places JOIN before ON places.bucket = before.bucket AND places.prefix = before.prefix
        GROUP BY places.bucket
    ), summed AS (
        SELECT
            bucket,
            sum(n) AS n,
            count(DISTINCT ip) AS n_ips, count(DISTINCT prefix) AS n_prefixes, count(DISTINCT asn) AS n_asns,
            count(DISTINCT country) AS n_countries, count(DISTINCT client) AS n_clients,
            sum(CASE WHEN ip IS NOT NULL THEN n END) AS n_addressed,
            sum(CASE WHEN prefix IS NOT NULL THEN n END) AS n_prefixed,
            sum(CASE WHEN asn IS NOT NULL THEN n END) AS n_routed
        FROM places
        GROUP BY bucket
    ), hourly AS (
        SELECT bucket, max(n_at_once) AS n_at_once
        FROM (
            SELECT bucket, hour, count(*) AS n_at_once
            FROM (
                SELECT bucket_of(account_id) AS bucket, hour(ts) AS hour, bucket_of(ip_prefix) AS prefix
                FROM requests
                WHERE ip_prefix IS NOT NULL
                GROUP BY bucket_of(account_id), hour(ts), bucket_of(ip_prefix)
            ) AS each_prefix
            GROUP BY bucket, hour
        ) AS each_hour
        GROUP BY bucket
    )
    SELECT
        account_id,
        nullif(n_ips, 0) AS n_ips,
        nullif(n_prefixes, 0) AS n_prefixes,
        nullif(n_asns, 0) AS n_asns,
        nullif(n_countries, 0) AS n_countries,
        nullif(n_clients, 0) AS n_clients,
        CASE WHEN n_addressed >= 4 THEN (n_ips - 1.0) / (n_addressed - 1.0) END AS ip_churn,
        n_at_once AS prefixes_at_once_max,
        CASE WHEN n_routed >= 4 AND (SELECT count(*) FROM hosting_asns) > 0
            THEN coalesce(n_rented, 0) * 1.0 / n_routed END AS hosting_share,
        CASE WHEN n_prefixed >= 4 AND regulars.bucket IS NOT NULL
            THEN 1.0 - coalesce(n_known, 0) * 1.0 / n_prefixed END AS new_prefix_share
    FROM summed
    JOIN tally ON summed.bucket = tally.bucket
    LEFT JOIN rented ON summed.bucket = rented.bucket
    LEFT JOIN known ON summed.bucket = known.bucket
    LEFT JOIN hourly ON summed.bucket = hourly.bucket
    LEFT JOIN regulars ON summed.bucket = regulars.bucket
),
m_parameters AS (
    SELECT
        account_id,
        CASE WHEN parameters_n_known >= 4 THEN parameters_many * 1.0 / parameters_n_known END AS n_gt1_share,
        CASE WHEN calls >= 4 THEN parameters_logprobs * 1.0 / calls END AS logprobs_share,
        CASE WHEN calls >= 4 THEN parameters_biased * 1.0 / calls END AS logit_bias_share,
        CASE WHEN parameters_probes_known >= 4 THEN parameters_probes * 1.0 / parameters_probes_known END AS logit_probe_share,
        CASE WHEN parameters_probes_known > 0 THEN parameters_probes END AS logit_probe_n,
        CASE WHEN parameters_stream_known >= 4 THEN parameters_streamed * 1.0 / parameters_stream_known END AS stream_share,
        CASE WHEN parameters_tools_known >= 4 THEN parameters_tools * 1.0 / parameters_tools_known END AS tools_share
    FROM tally
),
m_programme AS (
    WITH used AS (
        SELECT bucket, pathway, sum(calls) AS n
        FROM facets
        GROUP BY bucket, pathway
    ), ranked AS (
        SELECT
            bucket, pathway, n,
            max(CASE WHEN pathway IS NOT NULL THEN n END) OVER (PARTITION BY bucket) AS most
        FROM used
    ), pathways AS (
        SELECT
            bucket,
            count(pathway) AS n_pathways,
            min(CASE WHEN n = most THEN pathway END) AS top
        FROM ranked
        GROUP BY bucket
    )
    SELECT
        tally.account_id,
        top AS pathway_top,
        CASE WHEN n_pathways > 0 THEN n_pathways END AS n_pathways,
        lower(accounts.program) AS program,
        lower(accounts.program) IN ('partner', 'reseller', 'aggregator') AS is_partner,
        accounts.verified AS verified,
        CASE WHEN accounts.created_at IS NOT NULL
            THEN greatest(0.0, (epoch_s(programme_midnight) + 86400.0 - epoch_s(accounts.created_at)) / 86400.0)
        END AS account_age_days
    FROM pathways
    JOIN tally ON pathways.bucket = tally.bucket
    LEFT JOIN accounts ON tally.account_id = accounts.account_id
),
m_prompts AS (
    WITH spread AS (
        SELECT
            bucket,
            sum(n) AS n, count(*) AS n_templates, max(n) AS most,
            log2(sum(n)) - sum(n * log2(n)) / sum(n) AS entropy
        FROM templated
        GROUP BY bucket
    ), exact AS (
        SELECT prompt_hash FROM asked WHERE prompt_hash IS NOT NULL GROUP BY prompt_hash HAVING count(*) > 1
    ), copied AS (
        SELECT
            bucket,
            sum(CASE WHEN asked.prompt_hash IS NOT NULL THEN n END) AS n_prompted,
            sum(CASE WHEN exact.prompt_hash IS NOT NULL THEN n ELSE 0 END) AS n_copied
        FROM asked LEFT JOIN exact ON asked.prompt_hash = exact.prompt_hash
        GROUP BY bucket
    )
    SELECT
        account_id,
        n_templates,
        CASE WHEN spread.n >= 4 THEN most * 1.0 / spread.n END AS template_concentration,
        CASE WHEN spread.n >= 4 THEN entropy END AS template_entropy_bits,
        CASE WHEN n_prompted >= 4 THEN n_copied * 1.0 / n_prompted END AS shared_exact_share
    FROM copied
    JOIN tally ON copied.bucket = tally.bucket
    LEFT JOIN spread ON copied.bucket = spread.bucket
),
m_similarity AS (
    WITH weighed AS (
        SELECT kind, key, (1.0 - sqrt(n_requests * 1.0 / n_all)) * distinctness AS weight
        FROM shared_keys CROSS JOIN (SELECT sum(calls) AS n_all FROM tally) AS traffic
    ), alike AS (
        SELECT
            bucket, count(asked.prompt_hash) AS n_prompts,
            sum(CASE WHEN asked.prompt_hash IS NOT NULL THEN greatest(
                coalesce(openings.weight, 0.0), coalesce(endings.weight, 0.0), coalesce(templates.weight, 0.0)
            ) END) AS total
        FROM asked
        LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 2) AS openings ON asked.opening = openings.key
        LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 4) AS endings ON asked.ending = endings.key
        LEFT JOIN (SELECT key, weight FROM weighed WHERE kind = 10) AS templates
            ON asked.template_id = templates.key
        GROUP BY bucket
    )
    SELECT
        account_id,
        CASE WHEN n_prompts >= 4 THEN total / n_prompts END AS template_similarity_score,
        total AS similar_prompts_sum
    FROM alike JOIN tally ON alike.bucket = tally.bucket
),
m_timing AS (
    WITH timed AS (
        SELECT
            bucket_of(account_id) AS bucket, epoch_s(ts) AS start_s, epoch_s(ts) + latency_ms / 1000.0 AS end_s
        FROM requests
    ), spaced AS (
        -- One sort serves the gaps and the finding of requests that overlap: an earlier one is still open, or
        -- this one is when the next starts.
        SELECT
            bucket, start_s, end_s,
            lead(start_s) OVER in_time AS next_s,
            max(end_s) OVER (in_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS busy_until
        FROM timed
        WINDOW in_time AS (PARTITION BY bucket ORDER BY start_s)
    ), gaps AS (
        SELECT
            bucket,
            CASE WHEN count(*) >= 4 THEN quartiles_of(next_s - start_s) END AS q,
            CASE WHEN count(*) >= 4 THEN mad_of(next_s - start_s) END AS mad,
            greatest(max(next_s - start_s), 86400.0 - (max(start_s) - min(start_s))) AS rest,
            count(end_s) AS n_ended
        FROM spaced
        GROUP BY bucket
    ), flights AS (
        SELECT bucket, start_s AS at_s, 1 AS step
        FROM spaced WHERE (busy_until > start_s OR end_s > next_s) AND end_s IS NOT NULL
        UNION ALL
        SELECT bucket, end_s, -1
        FROM spaced WHERE (busy_until > start_s OR end_s > next_s) AND end_s IS NOT NULL
    ), flying AS (
        SELECT bucket, max(in_flight) AS concurrency
        FROM (
            SELECT bucket,
                sum(step) OVER (PARTITION BY bucket ORDER BY at_s, step ROWS UNBOUNDED PRECEDING) AS in_flight
            FROM flights
        ) AS steps
        GROUP BY bucket
    ), hours AS (
        -- Counted while the rows come sorted: cheaper than a scan of its own.
        SELECT bucket, floor(start_s / 3600) % 24 AS hour, count(*) AS n
        FROM spaced
        GROUP BY bucket, floor(start_s / 3600) % 24
    ), daily AS (
        SELECT
            bucket,
            sum(n) AS n, count(*) AS active,
            log2(sum(n)) - sum(n * log2(n)) / sum(n) AS entropy,
            sum(CASE WHEN hour IN (0, 1) THEN n ELSE 0 END) AS s0, sum(CASE WHEN hour IN (2, 3) THEN n ELSE 0 END) AS s1, sum(CASE WHEN hour IN (4, 5) THEN n ELSE 0 END) AS s2, sum(CASE WHEN hour IN (6, 7) THEN n ELSE 0 END) AS s3, sum(CASE WHEN hour IN (8, 9) THEN n ELSE 0 END) AS s4, sum(CASE WHEN hour IN (10, 11) THEN n ELSE 0 END) AS s5, sum(CASE WHEN hour IN (12, 13) THEN n ELSE 0 END) AS s6, sum(CASE WHEN hour IN (14, 15) THEN n ELSE 0 END) AS s7, sum(CASE WHEN hour IN (16, 17) THEN n ELSE 0 END) AS s8, sum(CASE WHEN hour IN (18, 19) THEN n ELSE 0 END) AS s9, sum(CASE WHEN hour IN (20, 21) THEN n ELSE 0 END) AS s10, sum(CASE WHEN hour IN (22, 23) THEN n ELSE 0 END) AS s11
        FROM hours
        GROUP BY bucket
    ), judged AS (
        SELECT
            account_id, daily.n, active, entropy, concurrency, n_ended, rest, mad,
            nth_of(q, 2) AS median_gap,
            -- A median gap of nothing (a batch sent at one instant) has no evenness to speak of.
            CASE WHEN mad <= nth_of(q, 2) THEN 1.0 - mad / nullif(nth_of(q, 2), 0)
                 WHEN mad > nth_of(q, 2) AND nth_of(q, 2) > 0 THEN 0.0 END
                * (1.0 - abs(coalesce((nth_of(q, 1) + nth_of(q, 3) - 2 * nth_of(q, 2))
                    / nullif(nth_of(q, 3) - nth_of(q, 1), 0), 0))) AS regularity,
            CASE WHEN daily.n >= 12 THEN CAST(least(s0 + s1 + s2 + s3, s1 + s2 + s3 + s4, s2 + s3 + s4 + s5, s3 + s4 + s5 + s6, s4 + s5 + s6 + s7, s5 + s6 + s7 + s8, s6 + s7 + s8 + s9, s7 + s8 + s9 + s10, s8 + s9 + s10 + s11, s9 + s10 + s11 + s0, s10 + s11 + s0 + s1, s11 + s0 + s1 + s2) AS DOUBLE) / daily.n END AS quiet,
            1.0 - least(1.0, rest / 28800.0) AS sleepless
        FROM daily
        JOIN tally ON daily.bucket = tally.bucket
        JOIN gaps ON daily.bucket = gaps.bucket
        LEFT JOIN flying ON daily.bucket = flying.bucket
    )
    SELECT
        account_id,
        median_gap AS gap_median_s,
        mad AS gap_mad_s,
        regularity AS gap_regularity,
        CASE WHEN n >= 4 THEN entropy END AS hour_entropy_bits,
        active AS n_active_hours,
        CASE WHEN n >= 4 THEN rest END AS longest_rest_s,
        quiet AS night_share,
        CASE WHEN n_ended > 0 THEN coalesce(concurrency, 1) END AS max_concurrency,
        CASE WHEN n >= 4 THEN
            (coalesce(regularity, 0) + sleepless + coalesce(3 * quiet, 0))
            / (1 + CASE WHEN regularity IS NULL THEN 0 ELSE 1 END + CASE WHEN quiet IS NULL THEN 0 ELSE 1 END)
        END AS timing_score
    FROM judged
),
m_volume AS (
    WITH by_model AS (
        SELECT bucket, model, sum(calls) AS n
        FROM facets
        GROUP BY bucket, model
    ), models AS (
        SELECT bucket, count(*) AS n_models, max(n) AS n_top
        FROM by_model
        GROUP BY bucket
    )
    SELECT
        account_id,
        calls AS n_requests,
        CASE WHEN volume_statuses > 0 THEN volume_statuses - volume_failed END AS n_ok,
        volume_input AS input_tokens,
        volume_output AS output_tokens,
        volume_reasoning AS reasoning_tokens,
        volume_paired_output * 1.0 / nullif(volume_paired_input, 0) AS output_input_ratio,
        n_models,
        CASE WHEN calls >= 4 THEN n_top * 1.0 / calls END AS top_model_share,
        CASE WHEN volume_statuses >= 4 THEN volume_failed * 1.0 / volume_statuses END AS error_share,
        CASE WHEN volume_finished >= 4 THEN volume_refused * 1.0 / volume_finished END AS refusal_share,
        volume_first AS first_ts,
        volume_last AS last_ts
    FROM tally JOIN models ON tally.bucket = models.bucket
)
SELECT
    spine.account_id,
    CAST(m_capability.capability_top AS VARCHAR) AS capability_top,
    CAST(m_capability.n_capabilities AS BIGINT) AS n_capabilities,
    CAST(m_capability.capability_top_share AS DOUBLE) AS capability_top_share,
    CAST(m_coverage.n_distinct_prompts AS BIGINT) AS n_distinct_prompts,
    CAST(m_coverage.distinct_prompt_share AS DOUBLE) AS distinct_prompt_share,
    CAST(m_coverage.first_turn_share AS DOUBLE) AS first_turn_share,
    CAST(m_elicitation.elicitation_score AS DOUBLE) AS elicitation_score,
    CAST(m_elicitation.elicitation_top_score AS DOUBLE) AS elicitation_top_score,
    CAST(m_elicitation.elicited_share AS DOUBLE) AS elicited_share,
    CAST(m_elicitation.elicited_n AS BIGINT) AS elicited_n,
    CAST(m_elicitation.elicitation_sum AS DOUBLE) AS elicitation_sum,
    CAST(m_elicitation.elicit_kind_top AS VARCHAR) AS elicit_kind_top,
    CAST(m_elicitation.elicit_cot_share AS DOUBLE) AS elicit_cot_share,
    CAST(m_elicitation.elicit_pairs_share AS DOUBLE) AS elicit_pairs_share,
    CAST(m_elicitation.elicit_grading_share AS DOUBLE) AS elicit_grading_share,
    CAST(m_elicitation.elicit_rewrite_share AS DOUBLE) AS elicit_rewrite_share,
    CAST(m_elicitation.elicit_trace_share AS DOUBLE) AS elicit_trace_share,
    CAST(m_origin.n_ips AS BIGINT) AS n_ips,
    CAST(m_origin.n_prefixes AS BIGINT) AS n_prefixes,
    CAST(m_origin.n_asns AS BIGINT) AS n_asns,
    CAST(m_origin.n_countries AS BIGINT) AS n_countries,
    CAST(m_origin.n_clients AS BIGINT) AS n_clients,
    CAST(m_origin.ip_churn AS DOUBLE) AS ip_churn,
    CAST(m_origin.prefixes_at_once_max AS BIGINT) AS prefixes_at_once_max,
    CAST(m_origin.hosting_share AS DOUBLE) AS hosting_share,
    CAST(m_origin.new_prefix_share AS DOUBLE) AS new_prefix_share,
    CAST(m_parameters.n_gt1_share AS DOUBLE) AS n_gt1_share,
    CAST(m_parameters.logprobs_share AS DOUBLE) AS logprobs_share,
    CAST(m_parameters.logit_bias_share AS DOUBLE) AS logit_bias_share,
    CAST(m_parameters.logit_probe_share AS DOUBLE) AS logit_probe_share,
    CAST(m_parameters.logit_probe_n AS BIGINT) AS logit_probe_n,
    CAST(m_parameters.stream_share AS DOUBLE) AS stream_share,
    CAST(m_parameters.tools_share AS DOUBLE) AS tools_share,
    CAST(m_programme.pathway_top AS VARCHAR) AS pathway_top,
    CAST(m_programme.n_pathways AS BIGINT) AS n_pathways,
    CAST(m_programme.program AS VARCHAR) AS program,
    CAST(m_programme.is_partner AS BOOLEAN) AS is_partner,
    CAST(m_programme.verified AS BOOLEAN) AS verified,
    CAST(m_programme.account_age_days AS DOUBLE) AS account_age_days,
    CAST(m_prompts.n_templates AS BIGINT) AS n_templates,
    CAST(m_prompts.template_concentration AS DOUBLE) AS template_concentration,
    CAST(m_prompts.template_entropy_bits AS DOUBLE) AS template_entropy_bits,
    CAST(m_prompts.shared_exact_share AS DOUBLE) AS shared_exact_share,
    CAST(m_similarity.template_similarity_score AS DOUBLE) AS template_similarity_score,
    CAST(m_similarity.similar_prompts_sum AS DOUBLE) AS similar_prompts_sum,
    CAST(m_timing.gap_median_s AS DOUBLE) AS gap_median_s,
    CAST(m_timing.gap_mad_s AS DOUBLE) AS gap_mad_s,
    CAST(m_timing.gap_regularity AS DOUBLE) AS gap_regularity,
    CAST(m_timing.hour_entropy_bits AS DOUBLE) AS hour_entropy_bits,
    CAST(m_timing.n_active_hours AS BIGINT) AS n_active_hours,
    CAST(m_timing.longest_rest_s AS DOUBLE) AS longest_rest_s,
    CAST(m_timing.night_share AS DOUBLE) AS night_share,
    CAST(m_timing.max_concurrency AS BIGINT) AS max_concurrency,
    CAST(m_timing.timing_score AS DOUBLE) AS timing_score,
    CAST(m_volume.n_requests AS BIGINT) AS n_requests,
    CAST(m_volume.n_ok AS BIGINT) AS n_ok,
    CAST(m_volume.input_tokens AS BIGINT) AS input_tokens,
    CAST(m_volume.output_tokens AS BIGINT) AS output_tokens,
    CAST(m_volume.reasoning_tokens AS BIGINT) AS reasoning_tokens,
    CAST(m_volume.output_input_ratio AS DOUBLE) AS output_input_ratio,
    CAST(m_volume.n_models AS BIGINT) AS n_models,
    CAST(m_volume.top_model_share AS DOUBLE) AS top_model_share,
    CAST(m_volume.error_share AS DOUBLE) AS error_share,
    CAST(m_volume.refusal_share AS DOUBLE) AS refusal_share,
    CAST(m_volume.first_ts AS TIMESTAMP) AS first_ts,
    CAST(m_volume.last_ts AS TIMESTAMP) AS last_ts
FROM spine
LEFT JOIN m_capability ON spine.account_id = m_capability.account_id
LEFT JOIN m_coverage ON spine.account_id = m_coverage.account_id
LEFT JOIN m_elicitation ON spine.account_id = m_elicitation.account_id
LEFT JOIN m_origin ON spine.account_id = m_origin.account_id
LEFT JOIN m_parameters ON spine.account_id = m_parameters.account_id
LEFT JOIN m_programme ON spine.account_id = m_programme.account_id
LEFT JOIN m_prompts ON spine.account_id = m_prompts.account_id
LEFT JOIN m_similarity ON spine.account_id = m_similarity.account_id
LEFT JOIN m_timing ON spine.account_id = m_timing.account_id
LEFT JOIN m_volume ON spine.account_id = m_volume.account_id
