WITH member_requests AS (
    SELECT members.group_id, requests.*
    FROM members
    JOIN requests ON members.account_id = requests.account_id
),
spine AS (
    SELECT DISTINCT group_id FROM members
),
m_alternation AS (
    WITH steps AS (
        SELECT group_id, account_id,
            lag(account_id) OVER (PARTITION BY group_id ORDER BY ts, request_id, account_id) AS before_id
        FROM member_requests
    ),
    passed AS (
        SELECT group_id,
            count(CASE WHEN account_id <> before_id THEN 1 END) * 1e0 / nullif(count(before_id), 0) AS share
        FROM steps GROUP BY group_id
    ),
    loads AS (
        SELECT group_id, sum(n) AS n, count(*) AS m, 1 - sum(n * n) * 1e0 / (sum(n) * sum(n)) AS chance FROM (
            SELECT group_id, account_id, count(*) AS n FROM member_requests GROUP BY group_id, account_id
        ) AS counts GROUP BY group_id
    ),
    sessions AS (
        SELECT group_id, count(CASE WHEN m >= 2 THEN 1 END) * 1e0 / count(*) AS share FROM (
            SELECT group_id, session_hash, count(DISTINCT account_id) AS m
            FROM member_requests WHERE session_hash IS NOT NULL GROUP BY group_id, session_hash
        ) AS each_session GROUP BY group_id
    ),
    users AS (
        SELECT group_id, count(CASE WHEN m >= 2 THEN 1 END) * 1e0 / count(*) AS share FROM (
            SELECT group_id, end_user_hash, count(DISTINCT account_id) AS m
            FROM member_requests WHERE end_user_hash IS NOT NULL GROUP BY group_id, end_user_hash
        ) AS each_user GROUP BY group_id
    )
    SELECT loads.group_id,
        CASE WHEN loads.n >= 20 THEN passed.share / nullif(loads.chance, 0) END AS alternation_ratio,
        sessions.share AS moved_session_share, users.share AS moved_end_user_share
    FROM loads JOIN passed ON loads.group_id = passed.group_id
    LEFT JOIN sessions ON loads.group_id = sessions.group_id
    LEFT JOIN users ON loads.group_id = users.group_id
    WHERE loads.m >= 2
),
m_creation AS (
    WITH today AS (SELECT max(ts) AS ts FROM requests),
    created AS (
        SELECT members.group_id, members.account_id, accounts.created_at
        FROM members JOIN accounts ON members.account_id = accounts.account_id
        WHERE accounts.created_at IS NOT NULL
    ),
    woken AS (
        SELECT created.group_id, count(*) AS n, count(CASE WHEN known.account_id IS NULL THEN 1 END) AS n_woken
        FROM created JOIN (SELECT DISTINCT account_id FROM requests) AS active
            ON created.account_id = active.account_id
        LEFT JOIN (SELECT DISTINCT account_id FROM requests_before) AS known
            ON created.account_id = known.account_id
        CROSS JOIN today
        WHERE epoch_s(today.ts) - epoch_s(created.created_at) > 604800 GROUP BY created.group_id
    ),
    top_day AS (
        SELECT group_id, max(n) AS n FROM (
            SELECT group_id, CAST(created_at AS DATE) AS created_day, count(*) AS n
            FROM created GROUP BY group_id, CAST(created_at AS DATE)
        ) AS days GROUP BY group_id
    ),
    spread AS (
        SELECT group_id, count(*) AS n,
            (quantile_of(epoch_s(created_at), 0.9) - quantile_of(epoch_s(created_at), 0.1)) / 86400 AS days,
            (max(epoch_s(today.ts)) - median(epoch_s(created_at))) / 86400 AS age_days,
            count(CASE WHEN epoch_s(today.ts) - epoch_s(created_at) <= 604800 THEN 1 END) AS n_new
        FROM created CROSS JOIN today GROUP BY group_id
    )
    SELECT spread.group_id, spread.days AS creation_spread_days,
        top_day.n * 1e0 / spread.n AS creation_top_day_share,
        spread.age_days AS member_age_days_median, spread.n_new * 1e0 / spread.n AS new_member_share,
        woken.n_woken * 1e0 / nullif(woken.n, 0) AS woken_share
    FROM spread JOIN top_day ON spread.group_id = top_day.group_id
    LEFT JOIN woken ON spread.group_id = woken.group_id
    WHERE spread.n >= 2
),
m_density AS (
    WITH held AS (
        SELECT DISTINCT members.group_id, bucket_of(ties.account_id) AS bucket, ties.family, ties.key
        FROM ties JOIN members ON ties.account_id = members.account_id
    ),
    present AS (SELECT group_id, count(DISTINCT bucket) AS n_present FROM held GROUP BY group_id),
    inside AS (
        SELECT group_id, family, key, count(*) AS n_in FROM held
        GROUP BY group_id, family, key HAVING count(*) >= 2
    ),
    everybody AS (
        SELECT key, count(*) AS n_all FROM (
            SELECT DISTINCT key, bucket_of(account_id) AS bucket FROM ties WHERE key IN (SELECT key FROM inside)
        ) AS holders GROUP BY key
    ),
    main AS (
        SELECT group_id, family, n_in, n_all FROM (
            SELECT inside.group_id, inside.family, inside.n_in, everybody.n_all, row_number() OVER (
                PARTITION BY inside.group_id, inside.family
                ORDER BY inside.n_in * 1e0 * inside.n_in / everybody.n_all DESC, inside.key) AS place
            FROM inside JOIN everybody ON inside.key = everybody.key
        ) AS ranked WHERE place = 1
    ),
    linked AS (
        SELECT group_id, bucket, count(*) AS n_families FROM (
            SELECT DISTINCT held.group_id, held.bucket, held.family
            FROM held JOIN inside ON held.group_id = inside.group_id AND held.key = inside.key
                AND held.family = inside.family
        ) AS shared GROUP BY group_id, bucket
    ),
    links AS (SELECT group_id, sum(n_families) AS n_links FROM linked GROUP BY group_id),
    pivoted AS (
        SELECT main.group_id, count(CASE WHEN n_in * 2 >= n_present THEN 1 END) AS n_binding_families,
        max(CASE WHEN family = 'billing' THEN n_in * 1e0 / n_present END) AS main_key_share_billing,
        max(CASE WHEN family = 'billing' THEN n_in * 1e0 / n_all END) AS inside_share_billing,
        max(CASE WHEN family = 'network' THEN n_in * 1e0 / n_present END) AS main_key_share_network,
        max(CASE WHEN family = 'network' THEN n_in * 1e0 / n_all END) AS inside_share_network,
        max(CASE WHEN family = 'client' THEN n_in * 1e0 / n_present END) AS main_key_share_client,
        max(CASE WHEN family = 'client' THEN n_in * 1e0 / n_all END) AS inside_share_client,
        max(CASE WHEN family = 'content' THEN n_in * 1e0 / n_present END) AS main_key_share_content,
        max(CASE WHEN family = 'content' THEN n_in * 1e0 / n_all END) AS inside_share_content,
        max(CASE WHEN family = 'rhythm' THEN n_in * 1e0 / n_present END) AS main_key_share_rhythm,
        max(CASE WHEN family = 'rhythm' THEN n_in * 1e0 / n_all END) AS inside_share_rhythm,
        max(CASE WHEN family = 'succession' THEN n_in * 1e0 / n_present END) AS main_key_share_succession,
        max(CASE WHEN family = 'succession' THEN n_in * 1e0 / n_all END) AS inside_share_succession
        FROM main JOIN present ON main.group_id = present.group_id GROUP BY main.group_id
    )
    SELECT present.group_id, coalesce(links.n_links, 0) * 1e0 / n_present AS families_per_member,
        coalesce(n_binding_families, 0) AS n_binding_families,
        main_key_share_billing, inside_share_billing, main_key_share_network, inside_share_network, main_key_share_client, inside_share_client, main_key_share_content, inside_share_content, main_key_share_rhythm, inside_share_rhythm, main_key_share_succession, inside_share_succession
    FROM present LEFT JOIN links ON present.group_id = links.group_id
    LEFT JOIN pivoted ON present.group_id = pivoted.group_id
),
m_elicitation AS (
    WITH scored AS (SELECT * FROM member_requests WHERE elicitation_score IS NOT NULL),
    sums AS (
        SELECT group_id, count(*) AS n, count(DISTINCT account_id) AS m,
            quantile_of(elicitation_score, 0.9) AS p90,
            sum(CASE WHEN elicitation_score >= 0.5 THEN 1 ELSE 0 END) AS hits
        FROM scored GROUP BY group_id
    ),
    takers AS (
        SELECT group_id, count(CASE WHEN hits > 0 THEN 1 END) AS m_hit
        FROM (
            SELECT group_id, account_id, sum(CASE WHEN elicitation_score >= 0.5 THEN 1 ELSE 0 END) AS hits
            FROM scored GROUP BY group_id, account_id
        ) AS by_member GROUP BY group_id
    ),
    everybody AS (
        SELECT avg(CASE WHEN elicitation_score >= 0.5 THEN 1e0 ELSE 0e0 END) AS share
        FROM requests WHERE elicitation_score IS NOT NULL
    )
    SELECT sums.group_id, hits * 1e0 / n AS group_elicited_share, hits AS n_elicited,
        p90 AS group_elicitation_p90,
        log2((hits + 1e0) / (n * everybody.share + 1e0)) AS group_elicited_lift_bits,
        m_hit * 1e0 / m AS eliciting_members_share
    FROM sums JOIN takers ON sums.group_id = takers.group_id CROSS JOIN everybody
),
m_evenness AS (
    WITH loads AS (
        SELECT group_id, account_id, count(*) AS n, sum(output_tokens) AS tokens
        FROM member_requests GROUP BY group_id, account_id
    ),
    ranked AS (
        SELECT group_id, n, tokens,
            row_number() OVER (PARTITION BY group_id ORDER BY n, account_id) AS place,
            row_number() OVER (PARTITION BY group_id ORDER BY coalesce(tokens, 0), account_id) AS token_place
        FROM loads
    ),
    spread AS (
        SELECT group_id, count(*) AS m, sum(n) AS total, max(n) AS top,
            2e0 * sum(place * n) / (count(*) * sum(n)) - (count(*) + 1e0) / count(*) AS gini,
            2e0 * sum(token_place * coalesce(tokens, 0)) / nullif(count(*) * sum(tokens), 0)
                - (count(*) + 1e0) / count(*) AS token_gini,
            power(stddev_samp(n), 2) / avg(n) AS fano
        FROM ranked GROUP BY group_id
    )
    SELECT spread.group_id, gini AS load_gini, fano AS load_fano, token_gini,
        top * 1e0 / spread.total AS top_member_share
    FROM spread
    WHERE m >= 3 AND spread.total >= 3 * m
),
m_exits AS (
    WITH networks AS (
        SELECT group_id, ip_prefix, count(DISTINCT account_id) AS n_users
        FROM member_requests WHERE ip_prefix IS NOT NULL GROUP BY group_id, ip_prefix
    ),
    by_network AS (
        SELECT group_id, count(*) AS n_prefixes, max(n_users) AS n_top
        FROM networks GROUP BY group_id
    ),
    users AS (
        SELECT group_id, count(DISTINCT account_id) AS n_users FROM member_requests
        WHERE ip_prefix IS NOT NULL GROUP BY group_id
    ),
    systems AS (
        SELECT group_id, count(DISTINCT member_requests.asn) AS n_asns, count(member_requests.asn) AS n,
            count(hosting_asns.asn) AS n_hosting
        FROM member_requests LEFT JOIN hosting_asns ON member_requests.asn = hosting_asns.asn GROUP BY group_id
    )
    SELECT systems.group_id, by_network.n_prefixes * 1e0 / users.n_users AS prefixes_per_member,
        by_network.n_top * 1e0 / users.n_users AS top_prefix_share,
        CASE WHEN systems.n > 0 THEN systems.n_asns END AS group_n_asns,
        systems.n_hosting * 1e0 / nullif(systems.n, 0) AS group_hosting_share
    FROM systems LEFT JOIN by_network ON systems.group_id = by_network.group_id
    LEFT JOIN users ON systems.group_id = users.group_id
),
m_extraction AS (
    WITH answers AS (
        SELECT group_id, coalesce(capability, 'general') AS capability, prompt_hash, output_tokens,
            CASE WHEN elicitation_score >= 0.5 OR output_tokens >= 400
                THEN 1 ELSE 0 END AS useful
        FROM member_requests
        WHERE coalesce(status, 200) < 400 AND coalesce(finish_reason, 'stop') <> 'refusal'
            AND (elicitation_score IS NOT NULL OR output_tokens IS NOT NULL)
    ),
    parts AS (
        SELECT group_id, capability,
            count(DISTINCT CASE WHEN useful = 1 THEN prompt_hash END)
                + count(CASE WHEN useful = 1 AND prompt_hash IS NULL THEN 1 END) AS n_useful,
            count(*) AS n, sum(CASE WHEN useful = 1 THEN output_tokens END) AS tokens
        FROM answers GROUP BY group_id, capability
    ),
    sums AS (
        SELECT group_id, sum(n_useful) AS n_useful, sum(n) AS n, sum(tokens) AS tokens,
            max(n_useful * 1e0 / (CASE capability WHEN 'coding' THEN 1000000 WHEN 'reasoning' THEN 1000000 WHEN 'agentic' THEN 1000000 WHEN 'translation' THEN 50000 WHEN 'writing' THEN 50000 WHEN 'vision' THEN 50000 WHEN 'data' THEN 7500 WHEN 'safety' THEN 7500 WHEN 'general' THEN 1000 ELSE 7500 END)) AS progress
        FROM parts GROUP BY group_id
    )
    SELECT sums.group_id, n_useful AS n_useful_answers, n_useful * 1e0 / n AS useful_share,
        CAST(tokens AS BIGINT) AS useful_tokens,
        CASE WHEN progress > 0 THEN ln(progress) / ln(10) END AS extraction_log10
    FROM sums
),
m_focus AS (
    WITH by_group AS (
        SELECT group_id, capability, count(*) AS n FROM member_requests
        WHERE capability IS NOT NULL GROUP BY group_id, capability
    ),
    totals AS (SELECT group_id, sum(n) AS n FROM by_group GROUP BY group_id),
    site AS (
        SELECT capability, count(*) * 1e0 / sum(count(*)) OVER () AS share
        FROM requests WHERE capability IS NOT NULL GROUP BY capability
    ),
    mix AS (
        SELECT by_group.group_id, by_group.capability, by_group.n * 1e0 / totals.n AS share,
            site.share AS site_share
        FROM by_group JOIN totals ON by_group.group_id = totals.group_id
        JOIN site ON by_group.capability = site.capability
    ),
    mixes AS (
        SELECT group_id, max(share) AS top_share, sum(share * log2(share / site_share)) AS divergence
        FROM mix GROUP BY group_id
    ),
    languages AS (
        SELECT group_id, count(DISTINCT language) AS n_languages
        FROM member_requests WHERE language IS NOT NULL GROUP BY group_id
    )
    SELECT totals.group_id, mixes.top_share AS group_top_capability_share,
        mixes.divergence AS group_capability_divergence_bits, languages.n_languages AS group_n_languages
    FROM totals JOIN mixes ON totals.group_id = mixes.group_id
    LEFT JOIN languages ON totals.group_id = languages.group_id
    WHERE totals.n >= 10
),
m_makeup AS (
    WITH known AS (
        SELECT members.group_id, members.account_id, accounts.account_id AS found, accounts.org_id,
            accounts.pathway, lower(accounts.program) AS program, accounts.verified,
            CASE WHEN accounts.email_domain_class = 'custom' THEN accounts.email_domain_hash END AS domain,
            accounts.email_domain_class AS domain_class, accounts.payment_hash
        FROM members LEFT JOIN accounts ON members.account_id = accounts.account_id
    ),
    by_domain AS (
        SELECT group_id, max(n) AS n_top FROM (
            SELECT group_id, domain, count(*) AS n FROM known WHERE domain IS NOT NULL GROUP BY group_id, domain
        ) AS domains GROUP BY group_id
    ),
    by_org AS (
        SELECT group_id, max(n) AS n_top FROM (
            SELECT group_id, org_id, count(*) AS n FROM known WHERE org_id IS NOT NULL GROUP BY group_id, org_id
        ) AS orgs GROUP BY group_id
    ),
    by_pathway AS (
        SELECT group_id, abs(sum(share * log2(share))) AS bits FROM (
            SELECT group_id, n * 1e0 / sum(n) OVER (PARTITION BY group_id) AS share FROM (
                SELECT group_id, pathway, count(*) AS n FROM known
                WHERE pathway IS NOT NULL GROUP BY group_id, pathway
            ) AS pathways
        ) AS shares GROUP BY group_id
    ),
    facts AS (
        SELECT group_id, count(found) AS n_found, nullif(count(DISTINCT org_id), 0) AS n_orgs,
            count(org_id) AS n_with_org, count(DISTINCT payment_hash) AS n_cards,
            count(payment_hash) AS n_with_card,
            count(program) AS n_with_program, count(domain_class) AS n_with_domain,
            count(CASE WHEN program IN ('education', 'research', 'enterprise', 'partner') THEN 1 END)
                AS n_contract,
            count(CASE WHEN domain_class IN ('free', 'disposable') THEN 1 END) AS n_free,
            count(verified) AS n_verdicts, count(CASE WHEN verified THEN 1 END) AS n_verified
        FROM known GROUP BY group_id
    )
    SELECT facts.group_id, n_orgs, n_orgs * 1e0 / nullif(n_with_org, 0) AS orgs_per_member,
        by_org.n_top * 1e0 / nullif(n_with_org, 0) AS top_org_share,
        n_cards * 1e0 / nullif(n_with_card, 0) AS cards_per_member,
        n_contract * 1e0 / nullif(n_with_program, 0) AS contract_share,
        n_verified * 1e0 / nullif(n_verdicts, 0) AS verified_share,
        n_free * 1e0 / nullif(n_with_domain, 0) AS free_mail_share,
        coalesce(by_domain.n_top, 0) * 1e0 / nullif(n_with_domain, 0) AS top_domain_share,
        by_pathway.bits AS pathway_entropy_bits
    FROM facts LEFT JOIN by_domain ON facts.group_id = by_domain.group_id
    LEFT JOIN by_org ON facts.group_id = by_org.group_id
    LEFT JOIN by_pathway ON facts.group_id = by_pathway.group_id
),
m_pivot AS (
    WITH bounds AS (SELECT min(date_trunc('day', ts)) AS day_start, max(ts) AS last_ts FROM requests),
    released AS (
        SELECT model_releases.model, min(model_releases.released_at) AS released_at FROM model_releases
        CROSS JOIN bounds
        WHERE model_releases.released_at <= bounds.last_ts
            AND epoch_s(model_releases.released_at) + 86400 > epoch_s(bounds.day_start)
        GROUP BY model_releases.model
    ),
    traffic AS (
        SELECT all_requests.account_id, released.model AS new_model,
            count(*) AS n, count(CASE WHEN all_requests.model = released.model THEN 1 END) AS n_new
        FROM (
            SELECT account_id, model, ts FROM requests
            UNION ALL SELECT account_id, model, ts FROM requests_before
        ) AS all_requests
        CROSS JOIN released
        WHERE all_requests.ts >= released.released_at
            AND epoch_s(all_requests.ts) - epoch_s(released.released_at) < 86400
        GROUP BY all_requests.account_id, released.model
    ),
    site AS (SELECT new_model, sum(n_new) * 1e0 / sum(n) AS share FROM traffic GROUP BY new_model),
    moved AS (
        SELECT members.group_id, traffic.new_model, sum(n) AS n, sum(n_new) AS n_new, count(*) AS m,
            count(CASE WHEN n_new > 0 THEN 1 END) AS m_new
        FROM members JOIN traffic ON members.account_id = traffic.account_id
        GROUP BY members.group_id, traffic.new_model HAVING sum(n) >= 10
    ),
    best AS (
        SELECT moved.*, site.share, row_number() OVER (
            PARTITION BY moved.group_id ORDER BY moved.n_new * 1e0 / moved.n DESC, moved.new_model) AS place
        FROM moved JOIN site ON moved.new_model = site.new_model
    )
    SELECT group_id, n_new * 1e0 / n AS pivot_share, m_new * 1e0 / m AS pivot_members_share,
        log2((n_new + 1e0) / (n * share + 1e0)) AS pivot_lift_bits
    FROM best WHERE place = 1
),
m_repeats AS (
    WITH counted AS (
        SELECT group_id, account_id, prompt_hash, count(*) AS n FROM member_requests
        WHERE prompt_hash IS NOT NULL GROUP BY group_id, account_id, prompt_hash
    ),
    by_prompt AS (
        SELECT group_id, prompt_hash, sum(n) AS n, count(*) AS m FROM counted GROUP BY group_id, prompt_hash
    ),
    known AS (
        SELECT DISTINCT prompt_hash FROM requests_before WHERE prompt_hash IN (SELECT prompt_hash FROM by_prompt)
    ),
    outside AS (
        SELECT requests.prompt_hash, count(DISTINCT requests.account_id) AS m FROM requests
        WHERE prompt_hash IN (SELECT prompt_hash FROM by_prompt) GROUP BY requests.prompt_hash
    ),
    told AS (
        SELECT by_prompt.group_id, sum(by_prompt.n) AS n, count(*) AS n_prompts,
            sum(CASE WHEN by_prompt.m >= 2 THEN by_prompt.n ELSE 0 END) AS n_across,
            sum(CASE WHEN outside.m > by_prompt.m THEN by_prompt.n ELSE 0 END) AS n_public,
            sum(CASE WHEN known.prompt_hash IS NOT NULL THEN by_prompt.n ELSE 0 END) AS n_known
        FROM by_prompt JOIN outside ON by_prompt.prompt_hash = outside.prompt_hash
        LEFT JOIN known ON by_prompt.prompt_hash = known.prompt_hash GROUP BY by_prompt.group_id
    ),
    within AS (
        SELECT group_id, sum(n - 1) AS n_again, count(DISTINCT account_id) AS m FROM counted GROUP BY group_id
    )
    SELECT told.group_id, 1 - n_prompts * 1e0 / n AS group_repeat_share, n_again * 1e0 / n AS member_repeat_share,
        n_across * 1e0 / n AS cross_member_repeat_share, n_public * 1e0 / n AS public_prompt_share,
        n_known * 1e0 / n AS known_prompt_share, n_prompts AS group_n_prompts
    FROM told JOIN within ON told.group_id = within.group_id
    WHERE n >= 10 AND m >= 2
),
m_replacement AS (
    WITH bans AS (
        SELECT members.group_id, members.account_id, min(account_events.ts) AS ts
        FROM members JOIN account_events ON members.account_id = account_events.account_id
        WHERE lower(account_events.event) IN ('banned', 'suspended')
        GROUP BY members.group_id, members.account_id
    ),
    seen AS (
        SELECT account_id, min(ts) AS ts FROM (
            SELECT account_id, ts FROM requests UNION ALL SELECT account_id, ts FROM requests_before
        ) AS both_relations WHERE account_id IN (SELECT account_id FROM members) GROUP BY account_id
    ),
    window_start AS (SELECT min(ts) AS ts FROM seen),
    starts AS (
        SELECT members.group_id, members.account_id, seen.ts
        FROM members JOIN seen ON members.account_id = seen.account_id
        LEFT JOIN accounts ON members.account_id = accounts.account_id
        CROSS JOIN window_start
        WHERE accounts.created_at >= window_start.ts OR epoch_s(seen.ts) - epoch_s(window_start.ts) > 86400
    ),
    moments AS (
        SELECT group_id, account_id, ts, CASE WHEN is_ban = 1 THEN ts END AS ban_ts, is_ban FROM (
            SELECT group_id, account_id, ts, 1 AS is_ban FROM bans
            UNION ALL SELECT group_id, account_id, ts, 0 FROM starts
        ) AS both_kinds
    ),
    traced AS (
        SELECT group_id, is_ban, ts, max(ban_ts) OVER (
            PARTITION BY group_id ORDER BY ts, is_ban DESC, account_id ROWS UNBOUNDED PRECEDING) AS last_ban_ts
        FROM moments
    ),
    told AS (
        SELECT group_id, count(CASE WHEN is_ban = 1 THEN 1 END) AS n_bans,
            count(CASE WHEN is_ban = 0 THEN 1 END) AS n_starts,
            count(CASE WHEN is_ban = 0 AND epoch_s(ts) - epoch_s(last_ban_ts) <= 86400 THEN 1 END)
                AS n_followed,
            median(CASE WHEN is_ban = 0 AND epoch_s(ts) - epoch_s(last_ban_ts) <= 86400
                THEN (epoch_s(ts) - epoch_s(last_ban_ts)) / 3600 END) AS gap_h
        FROM traced GROUP BY group_id
    ),
    sizes AS (SELECT group_id, count(*) AS m FROM members GROUP BY group_id)
    SELECT sizes.group_id, coalesce(n_bans, 0) AS n_banned_members,
        coalesce(n_bans, 0) * 1e0 / sizes.m AS banned_share,
        coalesce(n_followed, 0) AS n_successors,
        n_followed * 1e0 / nullif(n_starts, 0) AS successor_share,
        CASE WHEN n_bans > 0 THEN least(n_followed * 1e0 / n_bans, 1e0) END AS replaced_share,
        gap_h AS replacement_gap_h
    FROM sizes LEFT JOIN told ON sizes.group_id = told.group_id
),
m_size AS (
    WITH sizes AS (SELECT group_id, count(*) AS n_members FROM members GROUP BY group_id),
    busy AS (
        SELECT group_id, count(DISTINCT account_id) AS n_active, count(*) AS n, sum(output_tokens) AS tokens
        FROM member_requests GROUP BY group_id
    )
    SELECT sizes.group_id, sizes.n_members, coalesce(busy.n_active, 0) AS n_active,
        coalesce(busy.n_active, 0) / sizes.n_members AS active_share,
        coalesce(busy.n, 0) AS group_n_requests, busy.tokens AS group_output_tokens
    FROM sizes LEFT JOIN busy ON sizes.group_id = busy.group_id
),
m_synchrony AS (
    WITH active AS (
        SELECT group_id, count(DISTINCT account_id) AS m, count(*) AS n FROM member_requests GROUP BY group_id
    ),
    everybody AS (SELECT count(DISTINCT account_id) AS m FROM requests),
    
    hour_site AS (
        SELECT bin_no, count(*) AS k FROM (
            SELECT account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT) AS bin_no FROM requests GROUP BY account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT)
        ) AS cells GROUP BY bin_no
    ),
    hour_group AS (
        SELECT group_id, bin_no, count(*) AS k FROM (
            SELECT group_id, account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT) AS bin_no
            FROM member_requests GROUP BY group_id, account_id, CAST(floor(epoch_s(ts) / 3600) AS BIGINT)
        ) AS cells GROUP BY group_id, bin_no
    ),
    hour_co AS (
        SELECT active.group_id, max(active.m) AS m,
            sum(g.k * (g.k - 1)) * 1e0 / nullif(sum(g.k) * (max(active.m) - 1), 0) AS inside,
            sum(g.k * (s.k - g.k)) * 1e0 / nullif(sum(g.k) * (max(everybody.m) - max(active.m)), 0) AS outside,
            sum(g.k) * 1e0 / (max(active.m) * max(width.n)) AS member_rate,
            (max(width.k) - sum(g.k)) * 1e0
                / nullif((max(everybody.m) - max(active.m)) * max(width.n), 0) AS out_rate
        FROM hour_group AS g JOIN hour_site AS s ON g.bin_no = s.bin_no
        JOIN active ON g.group_id = active.group_id CROSS JOIN everybody
        CROSS JOIN (SELECT count(*) AS n, sum(k) AS k FROM hour_site) AS width
        GROUP BY active.group_id
    ),
    
    fine_site AS (
        SELECT bin_no, count(*) AS k FROM (
            SELECT account_id, CAST(floor(epoch_s(ts) / 300) AS BIGINT) AS bin_no FROM requests GROUP BY account_id, CAST(floor(epoch_s(ts) / 300) AS BIGINT)
        ) AS cells GROUP BY bin_no
    ),
    fine_group AS (
        SELECT group_id, bin_no, count(*) AS k FROM (
            SELECT group_id, account_id, CAST(floor(epoch_s(ts) / 300) AS BIGINT) AS bin_no
            FROM member_requests GROUP BY group_id, account_id, CAST(floor(epoch_s(ts) / 300) AS BIGINT)
        ) AS cells GROUP BY group_id, bin_no
    ),
    fine_co AS (
        SELECT active.group_id, max(active.m) AS m,
            sum(g.k * (g.k - 1)) * 1e0 / nullif(sum(g.k) * (max(active.m) - 1), 0) AS inside,
            sum(g.k * (s.k - g.k)) * 1e0 / nullif(sum(g.k) * (max(everybody.m) - max(active.m)), 0) AS outside,
            sum(g.k) * 1e0 / (max(active.m) * max(width.n)) AS member_rate,
            (max(width.k) - sum(g.k)) * 1e0
                / nullif((max(everybody.m) - max(active.m)) * max(width.n), 0) AS out_rate
        FROM fine_group AS g JOIN fine_site AS s ON g.bin_no = s.bin_no
        JOIN active ON g.group_id = active.group_id CROSS JOIN everybody
        CROSS JOIN (SELECT count(*) AS n, sum(k) AS k FROM fine_site) AS width
        GROUP BY active.group_id
    ),
    union_gaps AS (
        SELECT group_id, epoch_s(ts) - lag(epoch_s(ts)) OVER (PARTITION BY group_id ORDER BY ts) AS gap_s
        FROM member_requests
    ),
    union_rests AS (
        SELECT group_id, max(gap_s) AS rest_s, avg(gap_s) AS mean_s, count(gap_s) AS n_gaps
        FROM union_gaps GROUP BY group_id
    )
    SELECT active.group_id, hour_co.inside AS hour_coactivity,
        CASE WHEN hour_co.out_rate > 0 THEN log2((hour_co.inside + 0.01) / (least(hour_co.member_rate * hour_co.outside / nullif(hour_co.out_rate, 0), 1e0) + 0.01)) END AS hour_coactivity_lift_bits,
        CASE WHEN fine_co.out_rate > 0 THEN log2((fine_co.inside + 0.001) / (least(fine_co.member_rate * fine_co.outside / nullif(fine_co.out_rate, 0), 1e0) + 0.001)) END AS fine_coactivity_lift_bits,
        CASE WHEN active.n >= 20 THEN union_rests.rest_s / 3600 END AS union_rest_h,
        CASE WHEN active.n >= 20 AND union_rests.mean_s > 0 AND union_rests.rest_s > 0
            THEN log2(union_rests.rest_s / (union_rests.mean_s * (ln(union_rests.n_gaps) + 0.5772)))
        END AS union_rest_excess_bits
    FROM active JOIN hour_co ON active.group_id = hour_co.group_id
    JOIN fine_co ON active.group_id = fine_co.group_id
    LEFT JOIN union_rests ON active.group_id = union_rests.group_id
    WHERE active.m >= 3
),
m_templates AS (
    WITH common AS (
        SELECT owner, key FROM (
            SELECT bucket_of(group_id) AS owner, bucket_of(account_id) AS bucket, each_of(content_keys) AS key
            FROM member_requests
        ) AS keys WHERE key_kind(key) IN (2, 4, 5, 7, 8, 9, 10)
        GROUP BY owner, key HAVING min(bucket) <> max(bucket)
    ),
    keyed AS (
        SELECT group_id, account_id, bucket, request_id, ts, prompt_hash, keys.key FROM (
            SELECT group_id, bucket_of(group_id) AS owner, account_id, bucket_of(account_id) AS bucket, request_id, ts,
                prompt_hash, each_of(content_keys) AS key
            FROM member_requests
        ) AS keys JOIN common ON keys.key = common.key AND keys.owner = common.owner
    ),
    inside AS (
        SELECT group_id, key, count(DISTINCT bucket) AS n_in, count(*) AS n, count(DISTINCT prompt_hash) AS n_prompts
        FROM keyed GROUP BY group_id, key
    ),
    everybody AS (
        SELECT key, count(*) AS n_all FROM (
            SELECT DISTINCT key, bucket FROM (
                SELECT bucket_of(account_id) AS bucket, each_of(content_keys) AS key FROM requests
            ) AS keys WHERE key IN (SELECT key FROM inside)
        ) AS holders GROUP BY key
    ),
    judged AS (
        SELECT inside.group_id, inside.key, inside.n_in, inside.n, inside.n_prompts,
            inside.n_in >= 0.8 * everybody.n_all AS own,
            CASE WHEN key_kind(inside.key) IN (8, 9) THEN 1 ELSE 0 END AS is_system
        FROM inside JOIN everybody ON inside.key = everybody.key
    ),
    marked AS (
        SELECT keyed.group_id, keyed.account_id, keyed.request_id, keyed.ts,
            max(CASE WHEN judged.own THEN 1 ELSE 0 END) AS own,
            max(CASE WHEN judged.own THEN is_system ELSE 0 END) AS own_system
        FROM keyed JOIN judged ON keyed.group_id = judged.group_id AND keyed.key = judged.key
        GROUP BY keyed.group_id, keyed.account_id, keyed.request_id, keyed.ts
    ),
    covered AS (
        SELECT group_id, count(*) AS n_shared, sum(own) AS n_own, sum(own_system) AS n_system,
            count(DISTINCT CASE WHEN own = 1 THEN account_id END) AS m_own
        FROM marked GROUP BY group_id
    ),
    main AS (
        SELECT group_id, n, n_prompts, n_in FROM (
            SELECT group_id, n, n_prompts, n_in, row_number() OVER (
                PARTITION BY group_id ORDER BY n_in DESC, n_prompts DESC, key) AS place
            FROM judged WHERE own
        ) AS ranked WHERE place = 1
    ),
    totals AS (
        SELECT group_id, count(*) AS n, count(DISTINCT account_id) AS m, count(system_hash) AS n_with_system
        FROM member_requests WHERE content_keys IS NOT NULL GROUP BY group_id
    )
    SELECT totals.group_id, coalesce(n_shared, 0) * 1e0 / totals.n AS shared_text_share,
        coalesce(n_own, 0) * 1e0 / totals.n AS own_text_share, coalesce(n_own, 0) AS n_own_text_requests,
        coalesce(m_own, 0) * 1e0 / totals.m AS own_text_members_share,
        coalesce(n_system, 0) * 1e0 / nullif(n_with_system, 0) AS own_system_share,
        main.n_prompts * 1e0 / main.n AS own_text_distinct_share, main.n_prompts AS own_text_n_prompts
    FROM totals LEFT JOIN covered ON totals.group_id = covered.group_id
    LEFT JOIN main ON totals.group_id = main.group_id
    WHERE totals.m >= 2
),
m_tenancy AS (
    WITH served AS (
        SELECT group_id, account_id, count(*) AS n, count(DISTINCT end_user_hash) AS n_users,
            count(DISTINCT language) AS n_languages,
            count(DISTINCT coalesce(ja4, '') || '|' || coalesce(user_agent, '')) AS n_clients,
            count(end_user_hash) AS with_user, count(language) AS with_language
        FROM member_requests GROUP BY group_id, account_id
    )
    SELECT served.group_id,
        avg(CASE WHEN with_user > 0 THEN n_users END) AS end_users_per_member,
        avg(CASE WHEN with_language > 0 THEN n_languages END) AS languages_per_member,
        count(CASE WHEN n_languages >= 3 OR n_users >= 5 OR n_clients >= 4 THEN 1 END) * 1e0 / count(*)
            AS mixed_member_share
    FROM served
    GROUP BY served.group_id
),
m_uniformity AS (
    WITH active AS (SELECT group_id, count(DISTINCT account_id) AS m FROM member_requests GROUP BY group_id),
    
    model_counts AS (
        SELECT group_id, account_id, model AS setting, count(*) AS n FROM member_requests
        WHERE model IS NOT NULL GROUP BY group_id, account_id, model
    ),
    model_main AS (
        SELECT group_id, setting FROM (
            SELECT group_id, setting, row_number() OVER (PARTITION BY group_id, account_id ORDER BY n DESC, setting) AS place
            FROM model_counts
        ) AS ranked WHERE place = 1
    ),
    model_top AS (
        SELECT group_id, max(m) * 1e0 / sum(m) AS agreement FROM (
            SELECT group_id, setting, count(*) AS m FROM model_main GROUP BY group_id, setting
        ) AS settings GROUP BY group_id HAVING sum(m) >= 2
    ),
    sampling_counts AS (
        SELECT group_id, account_id, coalesce(CAST(round(temperature, 3) AS VARCHAR), '') || '|' || coalesce(CAST(max_tokens AS VARCHAR), '') || '|' || coalesce(CAST(stream AS VARCHAR), '') AS setting, count(*) AS n FROM member_requests
        WHERE temperature IS NOT NULL OR max_tokens IS NOT NULL OR stream IS NOT NULL GROUP BY group_id, account_id, coalesce(CAST(round(temperature, 3) AS VARCHAR), '') || '|' || coalesce(CAST(max_tokens AS VARCHAR), '') || '|' || coalesce(CAST(stream AS VARCHAR), '')
    ),
    sampling_main AS (
        SELECT group_id, setting FROM (
            SELECT group_id, setting, row_number() OVER (PARTITION BY group_id, account_id ORDER BY n DESC, setting) AS place
            FROM sampling_counts
        ) AS ranked WHERE place = 1
    ),
    sampling_top AS (
        SELECT group_id, max(m) * 1e0 / sum(m) AS agreement FROM (
            SELECT group_id, setting, count(*) AS m FROM sampling_main GROUP BY group_id, setting
        ) AS settings GROUP BY group_id HAVING sum(m) >= 2
    )
    SELECT active.group_id, model_top.agreement AS model_agreement, sampling_top.agreement AS sampling_agreement
    FROM active LEFT JOIN model_top ON active.group_id = model_top.group_id
    LEFT JOIN sampling_top ON active.group_id = sampling_top.group_id
    WHERE active.m >= 2
)
SELECT
    spine.group_id,
    CAST(m_alternation.alternation_ratio AS DOUBLE) AS alternation_ratio,
    CAST(m_alternation.moved_session_share AS DOUBLE) AS moved_session_share,
    CAST(m_alternation.moved_end_user_share AS DOUBLE) AS moved_end_user_share,
    CAST(m_creation.creation_spread_days AS DOUBLE) AS creation_spread_days,
    CAST(m_creation.creation_top_day_share AS DOUBLE) AS creation_top_day_share,
    CAST(m_creation.member_age_days_median AS DOUBLE) AS member_age_days_median,
    CAST(m_creation.new_member_share AS DOUBLE) AS new_member_share,
    CAST(m_creation.woken_share AS DOUBLE) AS woken_share,
    CAST(m_density.families_per_member AS DOUBLE) AS families_per_member,
    CAST(m_density.n_binding_families AS BIGINT) AS n_binding_families,
    CAST(m_density.main_key_share_billing AS DOUBLE) AS main_key_share_billing,
    CAST(m_density.inside_share_billing AS DOUBLE) AS inside_share_billing,
    CAST(m_density.main_key_share_network AS DOUBLE) AS main_key_share_network,
    CAST(m_density.inside_share_network AS DOUBLE) AS inside_share_network,
    CAST(m_density.main_key_share_client AS DOUBLE) AS main_key_share_client,
    CAST(m_density.inside_share_client AS DOUBLE) AS inside_share_client,
    CAST(m_density.main_key_share_content AS DOUBLE) AS main_key_share_content,
    CAST(m_density.inside_share_content AS DOUBLE) AS inside_share_content,
    CAST(m_density.main_key_share_rhythm AS DOUBLE) AS main_key_share_rhythm,
    CAST(m_density.inside_share_rhythm AS DOUBLE) AS inside_share_rhythm,
    CAST(m_density.main_key_share_succession AS DOUBLE) AS main_key_share_succession,
    CAST(m_density.inside_share_succession AS DOUBLE) AS inside_share_succession,
    CAST(m_elicitation.group_elicited_share AS DOUBLE) AS group_elicited_share,
    CAST(m_elicitation.n_elicited AS BIGINT) AS n_elicited,
    CAST(m_elicitation.group_elicitation_p90 AS DOUBLE) AS group_elicitation_p90,
    CAST(m_elicitation.group_elicited_lift_bits AS DOUBLE) AS group_elicited_lift_bits,
    CAST(m_elicitation.eliciting_members_share AS DOUBLE) AS eliciting_members_share,
    CAST(m_evenness.load_gini AS DOUBLE) AS load_gini,
    CAST(m_evenness.load_fano AS DOUBLE) AS load_fano,
    CAST(m_evenness.token_gini AS DOUBLE) AS token_gini,
    CAST(m_evenness.top_member_share AS DOUBLE) AS top_member_share,
    CAST(m_exits.prefixes_per_member AS DOUBLE) AS prefixes_per_member,
    CAST(m_exits.top_prefix_share AS DOUBLE) AS top_prefix_share,
    CAST(m_exits.group_n_asns AS BIGINT) AS group_n_asns,
    CAST(m_exits.group_hosting_share AS DOUBLE) AS group_hosting_share,
    CAST(m_extraction.n_useful_answers AS BIGINT) AS n_useful_answers,
    CAST(m_extraction.useful_share AS DOUBLE) AS useful_share,
    CAST(m_extraction.useful_tokens AS BIGINT) AS useful_tokens,
    CAST(m_extraction.extraction_log10 AS DOUBLE) AS extraction_log10,
    CAST(m_focus.group_top_capability_share AS DOUBLE) AS group_top_capability_share,
    CAST(m_focus.group_capability_divergence_bits AS DOUBLE) AS group_capability_divergence_bits,
    CAST(m_focus.group_n_languages AS BIGINT) AS group_n_languages,
    CAST(m_makeup.n_orgs AS BIGINT) AS n_orgs,
    CAST(m_makeup.orgs_per_member AS DOUBLE) AS orgs_per_member,
    CAST(m_makeup.top_org_share AS DOUBLE) AS top_org_share,
    CAST(m_makeup.cards_per_member AS DOUBLE) AS cards_per_member,
    CAST(m_makeup.contract_share AS DOUBLE) AS contract_share,
    CAST(m_makeup.verified_share AS DOUBLE) AS verified_share,
    CAST(m_makeup.free_mail_share AS DOUBLE) AS free_mail_share,
    CAST(m_makeup.top_domain_share AS DOUBLE) AS top_domain_share,
    CAST(m_makeup.pathway_entropy_bits AS DOUBLE) AS pathway_entropy_bits,
    CAST(m_pivot.pivot_share AS DOUBLE) AS pivot_share,
    CAST(m_pivot.pivot_members_share AS DOUBLE) AS pivot_members_share,
    CAST(m_pivot.pivot_lift_bits AS DOUBLE) AS pivot_lift_bits,
    CAST(m_repeats.group_repeat_share AS DOUBLE) AS group_repeat_share,
    CAST(m_repeats.member_repeat_share AS DOUBLE) AS member_repeat_share,
    CAST(m_repeats.cross_member_repeat_share AS DOUBLE) AS cross_member_repeat_share,
    CAST(m_repeats.public_prompt_share AS DOUBLE) AS public_prompt_share,
    CAST(m_repeats.known_prompt_share AS DOUBLE) AS known_prompt_share,
    CAST(m_repeats.group_n_prompts AS BIGINT) AS group_n_prompts,
    CAST(m_replacement.n_banned_members AS BIGINT) AS n_banned_members,
    CAST(m_replacement.banned_share AS DOUBLE) AS banned_share,
    CAST(m_replacement.n_successors AS BIGINT) AS n_successors,
    CAST(m_replacement.successor_share AS DOUBLE) AS successor_share,
    CAST(m_replacement.replaced_share AS DOUBLE) AS replaced_share,
    CAST(m_replacement.replacement_gap_h AS DOUBLE) AS replacement_gap_h,
    CAST(m_size.n_members AS BIGINT) AS n_members,
    CAST(m_size.n_active AS BIGINT) AS n_active,
    CAST(m_size.active_share AS DOUBLE) AS active_share,
    CAST(m_size.group_n_requests AS BIGINT) AS group_n_requests,
    CAST(m_size.group_output_tokens AS BIGINT) AS group_output_tokens,
    CAST(m_synchrony.hour_coactivity AS DOUBLE) AS hour_coactivity,
    CAST(m_synchrony.hour_coactivity_lift_bits AS DOUBLE) AS hour_coactivity_lift_bits,
    CAST(m_synchrony.fine_coactivity_lift_bits AS DOUBLE) AS fine_coactivity_lift_bits,
    CAST(m_synchrony.union_rest_h AS DOUBLE) AS union_rest_h,
    CAST(m_synchrony.union_rest_excess_bits AS DOUBLE) AS union_rest_excess_bits,
    CAST(m_templates.shared_text_share AS DOUBLE) AS shared_text_share,
    CAST(m_templates.own_text_share AS DOUBLE) AS own_text_share,
    CAST(m_templates.n_own_text_requests AS BIGINT) AS n_own_text_requests,
    CAST(m_templates.own_text_members_share AS DOUBLE) AS own_text_members_share,
    CAST(m_templates.own_system_share AS DOUBLE) AS own_system_share,
    CAST(m_templates.own_text_distinct_share AS DOUBLE) AS own_text_distinct_share,
    CAST(m_templates.own_text_n_prompts AS BIGINT) AS own_text_n_prompts,
    CAST(m_tenancy.end_users_per_member AS DOUBLE) AS end_users_per_member,
    CAST(m_tenancy.languages_per_member AS DOUBLE) AS languages_per_member,
    CAST(m_tenancy.mixed_member_share AS DOUBLE) AS mixed_member_share,
    CAST(m_uniformity.model_agreement AS DOUBLE) AS model_agreement,
    CAST(m_uniformity.sampling_agreement AS DOUBLE) AS sampling_agreement
FROM spine
LEFT JOIN m_alternation ON spine.group_id = m_alternation.group_id
LEFT JOIN m_creation ON spine.group_id = m_creation.group_id
LEFT JOIN m_density ON spine.group_id = m_density.group_id
LEFT JOIN m_elicitation ON spine.group_id = m_elicitation.group_id
LEFT JOIN m_evenness ON spine.group_id = m_evenness.group_id
LEFT JOIN m_exits ON spine.group_id = m_exits.group_id
LEFT JOIN m_extraction ON spine.group_id = m_extraction.group_id
LEFT JOIN m_focus ON spine.group_id = m_focus.group_id
LEFT JOIN m_makeup ON spine.group_id = m_makeup.group_id
LEFT JOIN m_pivot ON spine.group_id = m_pivot.group_id
LEFT JOIN m_repeats ON spine.group_id = m_repeats.group_id
LEFT JOIN m_replacement ON spine.group_id = m_replacement.group_id
LEFT JOIN m_size ON spine.group_id = m_size.group_id
LEFT JOIN m_synchrony ON spine.group_id = m_synchrony.group_id
LEFT JOIN m_templates ON spine.group_id = m_templates.group_id
LEFT JOIN m_tenancy ON spine.group_id = m_tenancy.group_id
LEFT JOIN m_uniformity ON spine.group_id = m_uniformity.group_id
