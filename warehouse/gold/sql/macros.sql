-- Functions of the gold tables; they stay in the file, so that a query may use them too.
-- None needs an extension. Where a function is a statistic, its source stands before it.

-- Instants (UTC) as the person's clock showed them, with the UTC offset in seconds. No time zone of the machine has a say.
CREATE MACRO local_time(instant, utc_offset) AS make_timestamp(epoch_us(instant) + CAST(utc_offset AS BIGINT) * 1000000);
CREATE MACRO week_of(day) AS CAST(date_trunc('week', day) AS DATE);
CREATE MACRO month_of(day) AS CAST(date_trunc('month', day) AS DATE);

-- Blood pressure category of a pair in mmHg; null where either is missing. The worse of the two decides. Bounds are
-- continuous: 129.67 is below 130. They sort averages and are no diagnosis. Sources: docs/domain.md, categories.
-- ACC/AHA 2017 (the numbers stand in AHA/ACC 2025): severe is above 180 or above 120.
CREATE MACRO bp_aha_2017(systolic, diastolic) AS CASE
    WHEN systolic IS NULL OR diastolic IS NULL THEN NULL
    WHEN systolic > 180 OR diastolic > 120 THEN 'severe'
    WHEN systolic >= 140 OR diastolic >= 90 THEN 'stage_2'
    WHEN systolic >= 130 OR diastolic >= 80 THEN 'stage_1'
    WHEN systolic >= 120 THEN 'elevated'
    ELSE 'normal'
END;
-- ESC 2024 (doi 10.1093/eurheartj/ehae178), office thresholds.
CREATE MACRO bp_esc_2024_office(systolic, diastolic) AS CASE
    WHEN systolic IS NULL OR diastolic IS NULL THEN NULL
    WHEN systolic >= 140 OR diastolic >= 90 THEN 'hypertension'
    WHEN systolic >= 120 OR diastolic >= 70 THEN 'elevated'
    ELSE 'non_elevated'
END;
-- ESC 2024, thresholds for measurements at home.
CREATE MACRO bp_esc_2024_home(systolic, diastolic) AS CASE
    WHEN systolic IS NULL OR diastolic IS NULL THEN NULL
    WHEN systolic >= 135 OR diastolic >= 85 THEN 'hypertension'
    WHEN systolic >= 120 OR diastolic >= 70 THEN 'elevated'
    ELSE 'non_elevated'
END;
-- The category of a mean, which is judged as it is written: with two decimals.
CREATE MACRO bp_category(scheme, systolic, diastolic) AS CASE scheme
    WHEN 'aha_2017' THEN bp_aha_2017(round(systolic, 2), round(diastolic, 2))
    WHEN 'esc_2024_office' THEN bp_esc_2024_office(round(systolic, 2), round(diastolic, 2))
    WHEN 'esc_2024_home' THEN bp_esc_2024_home(round(systolic, 2), round(diastolic, 2))
END;
-- The categories of every scheme; position 0 is the lowest.
CREATE MACRO bp_categories() AS TABLE
    SELECT * FROM (VALUES
        ('aha_2017', 0, 'normal'), ('aha_2017', 1, 'elevated'), ('aha_2017', 2, 'stage_1'), ('aha_2017', 3, 'stage_2'),
        ('aha_2017', 4, 'severe'),
        ('esc_2024_office', 0, 'non_elevated'), ('esc_2024_office', 1, 'elevated'), ('esc_2024_office', 2, 'hypertension'),
        ('esc_2024_home', 0, 'non_elevated'), ('esc_2024_home', 1, 'elevated'), ('esc_2024_home', 2, 'hypertension')
    ) AS schemes (scheme, position, category);

-- Student's t. With t = sqrt(df) tan(angle) its distribution function is 1/2 + c * integral of cos(x)^(df - 1) from 0 to the
-- angle, c = gamma((df + 1) / 2) / (sqrt(pi) gamma(df / 2)); df need not be whole (Welch). The integral is a Gauss-Legendre sum
-- over 20 nodes (Abramowitz & Stegun 1964, 25.4.30), the quantile Newton's method on the angle, which comes from the left
-- without overshooting because the density falls. The 97.5 % quantile is right to 1e-6 for every df >= 1.
CREATE MACRO gauss_legendre_20() AS [
    {'node': 0.0765265211334973, 'weight': 0.1527533871307258}, {'node': 0.2277858511416451, 'weight': 0.1491729864726037},
    {'node': 0.3737060887154195, 'weight': 0.1420961093183820}, {'node': 0.5108670019508271, 'weight': 0.1316886384491766},
    {'node': 0.6360536807265150, 'weight': 0.1181945319615184}, {'node': 0.7463319064601508, 'weight': 0.1019301198172404},
    {'node': 0.8391169718222188, 'weight': 0.0832767415767048}, {'node': 0.9122344282513259, 'weight': 0.0626720483341091},
    {'node': 0.9639719272779138, 'weight': 0.0406014298003869}, {'node': 0.9931285991850949, 'weight': 0.0176140071391521}
];
CREATE MACRO student_t_scale(df) AS exp(lgamma((df + 1) / 2.0) - lgamma(df / 2.0)) / sqrt(pi());
CREATE MACRO student_t_area(angle, df) AS student_t_scale(df) * angle / 2 * list_sum(list_transform(
    gauss_legendre_20(),
    LAMBDA g: g.weight * (pow(cos(angle / 2 * (1 - g.node)), df - 1) + pow(cos(angle / 2 * (1 + g.node)), df - 1))
));
CREATE MACRO student_t_cdf(t, df) AS 0.5 + sign(t) * student_t_area(atan(abs(t) / sqrt(df)), df);
CREATE MACRO student_t_quantile(p, df) AS CASE WHEN df > 0 AND p > 0 AND p < 1 THEN sign(p - 0.5) * sqrt(df) * tan(list_reduce(
    [0.0::DOUBLE, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
    LAMBDA angle, step: angle
        - (student_t_area(angle, df) - abs(p - 0.5)) / (student_t_scale(df) * pow(cos(angle), df - 1))
)) END;

-- The 97.5 % quantile of the normal distribution: 95 % lie between minus and plus this.
CREATE MACRO normal_975() AS 1.959963984540054;

-- Half the width of the 95 % confidence interval of a mean: t * sd / sqrt(n). Null under two values.
CREATE MACRO mean_margin(n, sd) AS CASE WHEN n >= 2 THEN student_t_quantile(0.975, n - 1) * sd / sqrt(n) END;

-- Welch 1947: the standard error of a difference of two means with unequal variances, and the degrees of freedom
-- (Satterthwaite 1946). Null under two values on either side; no degrees of freedom when nothing varies.
CREATE MACRO welch_error(n1, sd1, n2, sd2) AS CASE WHEN n1 >= 2 AND n2 >= 2 THEN sqrt(sd1 * sd1 / n1 + sd2 * sd2 / n2) END;
CREATE MACRO welch_df(n1, sd1, n2, sd2) AS CASE WHEN n1 >= 2 AND n2 >= 2 AND (sd1 > 0 OR sd2 > 0) THEN
    pow(sd1 * sd1 / n1 + sd2 * sd2 / n2, 2)
    / (pow(sd1 * sd1 / n1, 2) / (n1 - 1) + pow(sd2 * sd2 / n2, 2) / (n2 - 1))
END;
CREATE MACRO welch_margin(n1, sd1, n2, sd2) AS
    student_t_quantile(0.975, welch_df(n1, sd1, n2, sd2)) * welch_error(n1, sd1, n2, sd2);

-- Hedges' g (1981): the difference of two means in pooled standard deviations, with the exact correction for small samples;
-- its standard error after Borenstein et al. 2009, Introduction to Meta-Analysis, 4.20-4.24. 0.2 is called small, 0.8 large.
CREATE MACRO pooled_sd(n1, sd1, n2, sd2) AS
    sqrt(((n1 - 1) * sd1 * sd1 + (n2 - 1) * sd2 * sd2) / (n1 + n2 - 2));
CREATE MACRO hedges_correction(df) AS exp(lgamma(df / 2.0) - lgamma((df - 1) / 2.0)) / sqrt(df / 2.0);
CREATE MACRO hedges_g(n1, mean1, sd1, n2, mean2, sd2) AS CASE WHEN n1 >= 2 AND n2 >= 2 AND (sd1 > 0 OR sd2 > 0) THEN
    hedges_correction(n1 + n2 - 2) * (mean2 - mean1) / pooled_sd(n1, sd1, n2, sd2)
END;
CREATE MACRO hedges_error(n1, n2, g) AS
    sqrt(pow(hedges_correction(n1 + n2 - 2), 2) * (n1 + n2) / (n1 * n2) + g * g / (2.0 * (n1 + n2)));

-- Fisher 1921: the 95 % confidence interval of a correlation by its z transformation; side is -1 or +1. Null under four pairs
-- and for a perfect correlation, whose interval has no width.
CREATE MACRO fisher_bound(r, n, side) AS CASE WHEN n > 3 AND abs(r) < 1 THEN
    tanh(atanh(r) + side * normal_975() / sqrt(n - 3))
END;
