//! Amounts that were computed as binary fractions, such as `112.41600000000001`, in cents.

use hims_domain::values::to_cents;
use rust_decimal::{Decimal, RoundingStrategy, dec};

/// Rounds amounts to cents so that they add up to their rounded sum (the method of largest remainders): every amount is
/// rounded down, and the cents that are missing then go to the amounts from which most was taken; of several such
/// amounts, to the first.
pub(in super::super) fn rounded_together(amounts: &[Decimal]) -> Vec<Decimal> {
    const CENT: Decimal = dec!(0.01);
    let down = |it: &Decimal| it.round_dp_with_strategy(2, RoundingStrategy::ToNegativeInfinity);
    let mut rounded: Vec<Decimal> = amounts.iter().map(down).collect();
    let sum = to_cents(amounts.iter().sum());
    let mut missing = sum - rounded.iter().sum::<Decimal>();
    let mut places: Vec<usize> = (0..amounts.len()).collect();
    places.sort_by_key(|place| rounded[*place] - amounts[*place]);
    for place in places {
        if missing < CENT {
            break;
        }
        rounded[place] += CENT;
        missing -= CENT;
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_add_up_to_their_rounded_sum() {
        for (amounts, rounded) in [
            (
                vec![dec!(112.41600000000001), dec!(482.88), dec!(7274.232)],
                vec![dec!(112.42), dec!(482.88), dec!(7274.23)],
            ),
            (vec![dec!(0.005), dec!(0.005)], vec![dec!(0.01), dec!(0)]),
            (vec![dec!(1.004), dec!(1.004), dec!(1.004)], vec![dec!(1.01), dec!(1), dec!(1)]),
            (vec![dec!(28.104000000000003)], vec![dec!(28.10)]),
            (vec![dec!(0.125)], vec![dec!(0.13)]),
            (Vec::new(), Vec::new()),
        ] {
            assert_eq!(rounded_together(&amounts), rounded, "{amounts:?}");
        }
    }
}
